import { messageOf } from "../../model/errors.ts";
import { within } from "../../waiting/bounded.ts";
import { NoCredentials } from "./failures.ts";
import type { Credentials } from "./json-api.ts";

/** The package asks the metadata server of a cloud machine, also where there is none. */
const ASK_MS = 30_000;

/** An emulator asks for none, and a token must not be sent in clear text. */
export const noCredentials: Credentials = { headers: async () => ({}), renew: () => {} };

/**
 * The credentials that the package finds: the key file or the federated identity of `GOOGLE_APPLICATION_CREDENTIALS`, the login of `gcloud auth
 * application-default`, or the workload identity of the machine. The package is loaded at the first request.
 */
export function googleCredentials(): Credentials {
  let opened: ReturnType<typeof open> | undefined;
  const asked = async (): Promise<Record<string, string>> => {
    opened ??= open();
    const headers = await (await opened).getRequestHeaders();
    return Object.fromEntries(headers.entries());
  };
  return {
    async headers() {
      try {
        return await within(ASK_MS, asked(), () => new Error("no answer within 30 s"));
      } catch (err) {
        opened = undefined;
        throw new NoCredentials(messageOf(err), { cause: err });
      }
    },
    renew: () => (opened = undefined),
  };
}

async function open() {
  const { Storage } = await import("@google-cloud/storage");
  // Our requests name a bucket, and no project: without this one, a federated identity would have to be allowed to ask for it.
  return new Storage({ projectId: "unused" }).authClient;
}
