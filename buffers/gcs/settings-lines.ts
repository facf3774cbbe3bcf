import type { BucketSettings } from "./bucket.ts";

/** One line about a bucket, for a log and for people. */
export interface SettingLine {
  isWarning: boolean;
  message: string;
  facts: Record<string, string | number>;
}

const DAY_SECONDS = 86_400;

/** One line for each setting that decides what we can do with a bucket, or what it costs. */
export function linesOf(settings: BucketSettings): SettingLine[] {
  const { location, isUniformAccess, softDeleteSeconds, isVersioned, retentionSeconds } = settings;
  const line = (isWarning: boolean, message: string, facts: SettingLine["facts"] = {}): SettingLine => ({
    isWarning,
    message,
    facts,
  });
  return [
    line(false, "the location of the bucket", { region: location }),
    isUniformAccess
      ? line(false, "uniform bucket-level access is on")
      : line(true, "uniform bucket-level access is off: grants for direct transfers need it"),
    softDeleteSeconds === 0
      ? line(false, "soft delete is off")
      : line(true, "soft delete is on: the bucket keeps purged buffers", { days: softDeleteSeconds / DAY_SECONDS }),
    isVersioned ? line(true, "versioning is on: the bucket keeps purged buffers") : line(false, "versioning is off"),
    retentionSeconds === 0
      ? line(false, "there is no retention policy")
      : line(true, "there is a retention policy: buffers cannot be purged earlier", { seconds: retentionSeconds }),
  ];
}
