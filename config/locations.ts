import { z } from "zod";
import { LOCAL } from "../model/buffer/location.ts";

const NAME = /^[a-zA-Z0-9][\w.-]{0,62}$/;

const areDifferent = (values: readonly string[]): boolean => new Set(values).size === values.length;

/** The locations of a configuration file, the default first; `path` reads the path of a folder. */
export const locationsSchema = (path: z.ZodType<string>) =>
  z
    .array(
      z.strictObject({
        name: z.string().regex(NAME, "must be 1 to 63 letters, digits, '.', '-' and '_'"),
        /** It must exist. */
        folder: path,
      }),
    )
    .min(1)
    .refine((all) => areDifferent(all.map(({ name }) => name.toLowerCase())), "two have the same name")
    .refine((all) => areDifferent(all.map(({ folder }) => folder)), "two have the same folder");

interface LocationConfig {
  name: string;
  folder: string;
}

/** The default first. */
export type LocationConfigs = readonly [LocationConfig, ...LocationConfig[]];

/** The locations of a server; without any in its configuration, its data folder is the only one. */
export function locationsOf(
  { locations = [] }: { locations?: readonly LocationConfig[] | undefined },
  dataDir: string,
): LocationConfigs {
  const [first, ...others] = locations;
  return first === undefined ? [{ name: LOCAL, folder: dataDir }] : [first, ...others];
}
