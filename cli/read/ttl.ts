const SHAPE = /^(?<d>[0-9]{1,8})(?:\.(?<h>[0-9]{2})(?::(?<m>[0-9]{2})(?::(?<s>[0-9]{2}))?)?)?$/;

/** The seconds of a time to live: `D`, `D.HH`, `D.HH:MM` or `D.HH:MM:SS`. @throws Error */
export function parseTtl(text: string): number {
  const { d, h = "00", m = "00", s = "00" } = SHAPE.exec(text.trim())?.groups ?? {};
  if (d === undefined || h > "23" || m > "59" || s > "59") {
    throw new Error("use the form D, D.HH, D.HH:MM, or D.HH:MM:SS");
  }
  return ((Number(d) * 24 + Number(h)) * 60 + Number(m)) * 60 + Number(s);
}

/** `D.HH:MM:SS`, as the `ttl` of an access request takes it. */
export function formatTtl(totalSeconds: number): string {
  const clock = [Math.floor(totalSeconds / 3600) % 24, Math.floor(totalSeconds / 60) % 60, totalSeconds % 60];
  return `${Math.floor(totalSeconds / 86_400)}.${clock.map((part) => String(part).padStart(2, "0")).join(":")}`;
}

/** The instant at which a time to live that starts at `nowMs` ends. */
export const expiryOf = (ttlSeconds: number, nowMs: number): string => {
  const expiry = new Date(nowMs + ttlSeconds * 1000);
  if (Number.isNaN(expiry.getTime()) || expiry.getUTCFullYear() > 9999) {
    throw new Error("the time to live is too long");
  }
  return expiry.toISOString();
};
