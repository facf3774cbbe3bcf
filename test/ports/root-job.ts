import { expect, test } from "vitest";
import type { RunRecord } from "../../model/run/run.ts";
import { eventually } from "../eventually.ts";
import type { ComputeUnderTest } from "./compute.ts";

/** Those of root in a container, less the ones that no job gets, as the kernel shows them. */
const CAPABILITIES = "00000000000405fb";
const SCRIPT = `
echo secret > /tmp/file
chown 65534:65534 /tmp/file
chmod 0600 /tmp/file
cat /tmp/file
su -s /bin/sh "$(sed -n 's/:.*:65534:.*//p' /etc/passwd | head -n 1)" -c 'id -u'
grep CapEff /proc/self/status
mknod /tmp/device c 1 3 2> /dev/null || echo no devices`;

type Rig = Pick<ComputeUnderTest, "reader" | "writer"> & { shell(script: string): RunRecord };

/** A job of root can do the same on every engine. */
export function testRootJob(rigOf: () => Rig): void {
  test("a job of root can chown, su and read the files of others, and makes no devices", async () => {
    const rig = rigOf();
    const { reader, writer } = rig;
    const run = rig.shell(SCRIPT);
    await writer.provision(run);
    await writer.launch(run, 0);
    await eventually(async () => (await writer.observe(run, 0)).container.phase === "Exited", { withinMs: 30_000 });
    let log = "";
    for await (const batch of reader.logs(run, {}, AbortSignal.timeout(20_000))) {
      for (const { bytes } of batch) log += Buffer.from(bytes).toString();
    }
    expect(log).toBe(`secret\n65534\nCapEff:\t${CAPABILITIES}\nno devices\n`);
  });
}
