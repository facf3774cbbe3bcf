import { readFileSync } from "node:fs";
import { rootCertificates } from "node:tls";
import { errnoWordsOf } from "../../model/errno.ts";
import { messageOf } from "../../model/errors.ts";

/**
 * The certificates to trust, as PEM, for the word or the path of `--tls-certificates`. Undefined for `os`: those of the machine,
 * which requests trust unless they are given others.
 * @throws Error for a file without certificates
 */
export function certificatesOf(choice: string): string | undefined {
  if (choice === "os") return undefined;
  if (choice === "embedded") return rootCertificates.join("\n");
  let pem: string;
  try {
    pem = readFileSync(choice, "utf8");
  } catch (err) {
    const reason = errnoWordsOf(err, "reading") ?? messageOf(err);
    throw new Error(`the file of certificates '${choice}' cannot be read: ${reason}`, { cause: err });
  }
  if (!pem.includes("-----BEGIN CERTIFICATE-----")) throw new Error(`the file '${choice}' has no certificates (PEM)`);
  return pem;
}
