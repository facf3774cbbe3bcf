import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { errnoWordsOf } from "../model/errno.ts";
import { messageOf } from "../model/errors.ts";
import { authenticationSchema } from "./authentication.ts";
import { clustersSchema } from "./clusters.ts";
import type { Environment } from "./home.ts";
import { locationsSchema } from "./locations.ts";

const ADDRESS = /^(?:\[[0-9a-fA-F:]+\]|[^:[\]]+):[0-9]{1,5}$/;

/** Without a slash at the end, because paths are added. */
const publicUrl = z
  .url({ protocol: /^https?$/, error: "must be a URL such as https://data.example.com" })
  .refine((url) => !/[?#@]/.test(url), "must have no user, query or fragment")
  .transform((url) => url.replace(/\/+$/, ""));

/** Strict, so that a misspelled setting is reported. */
const fileSchema = (folder: string) => {
  const path = z
    .string()
    .min(1)
    .transform((name) => resolve(folder, name));
  const tls = z.strictObject({
    /** PEM, with the certificates between it and the root. */
    certificate: path,
    /** PEM. */
    key: path,
  });
  const address = z.string().regex(ADDRESS, "must be of the form host:port");
  return z.strictObject({
    authentication: authenticationSchema.optional(),
    controlPlane: z
      .strictObject({
        /** For both planes. Without it, only the sockets are open. */
        listen: address.optional(),
        /** Host names and addresses in requests, beside those of loopback and the one of `listen`. */
        publicNames: z.array(z.string().min(1)).optional(),
        tls: tls.optional(),
      })
      .optional(),
    dataPlane: z
      .strictObject({
        /** For the data plane alone. Its requests are signed, so it can be any address. */
        listen: address.optional(),
        /** As clients beyond this machine reach it; the URLs of buffers start with it. */
        publicUrl: publicUrl.optional(),
        tls: tls.optional(),
      })
      .refine(({ listen, tls }) => listen !== undefined || tls === undefined, "tls needs listen")
      .optional(),
    /** Without them, the server has one: the Docker engine of DOCKER_HOST. */
    clusters: clustersSchema(path).optional(),
    /** Without them, the server has one: its data folder. */
    locations: locationsSchema(path).optional(),
    /** The connection to TEMPORAL_ADDRESS. */
    temporal: z
      .strictObject({
        /** Without it, the connection is in clear text, unless there is an API key. */
        tls: z
          .strictObject({
            /** PEM of the authority of the server's certificate; the machine's authorities by default. */
            ca: path.optional(),
            /** PEM, by which the server knows us. */
            certificate: path.optional(),
            key: path.optional(),
            /** The name in the server's certificate, if it is not that of the address. */
            serverName: z.string().min(1).optional(),
          })
          .refine(
            ({ certificate, key }) => (certificate === undefined) === (key === undefined),
            "certificate needs key",
          )
          .optional(),
        /** In place of TEMPORAL_API_KEY. */
        apiKeyFile: path.optional(),
      })
      .optional(),
    /** Without them, the API creates a pair in its data folder, which other machines do not have. */
    signingKeys: z
      .strictObject({
        /** PKCS#8 PEM. Signs the URLs of buffers. */
        primary: path,
        /** PKCS#8 or SPKI PEM. Its URLs are accepted too: it is the former key, or the next one. */
        secondary: path.optional(),
      })
      .optional(),
  });
};

/** The settings that do not fit a variable. Paths are absolute. */
export type ConfigFile = z.infer<ReturnType<typeof fileSchema>>;

/**
 * Reads the file that `TYGER_CONFIG` names; relative paths in it start at its folder.
 * @throws Error that names the file and each invalid setting
 */
export function readConfigFile({ TYGER_CONFIG: file }: Environment): ConfigFile {
  if (!file) return {};
  const result = fileSchema(dirname(resolve(file))).safeParse(contentOf(file));
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `${issue.path.join(".") || "the file"}: ${issue.message}`);
  throw new Error(`The configuration file '${file}' is invalid: ${problems.join("; ")}`);
}

function contentOf(file: string): unknown {
  try {
    // A file in which everything is commented out has no settings.
    return parse(readFileSync(file, "utf8")) ?? {};
  } catch (err) {
    const problem = errnoWordsOf(err, "reading") ?? messageOf(err);
    throw new Error(`The configuration file '${file}' cannot be read: ${problem}`, { cause: err });
  }
}
