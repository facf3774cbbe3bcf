/**
 * Checks the value of `--proxy` and of login files, and returns it as stored: `auto`, `none`, a URL, or `host:port`.
 * @throws Error
 */
export function parseProxy(text: string): string {
  if (text === "auto" || text === "automatic") return "auto";
  if (text === "none") return text;
  const isUrl = /^(?:https?|socks5h?):\/\/[^/]/i.test(text) && URL.canParse(text);
  const isPlace = /^(?:[^\s/:@[\]]+|\[[0-9a-f:.]+\]):[0-9]{1,5}$/i.test(text) && URL.canParse(`http://${text}`);
  if (!isUrl && !isPlace) throw new Error("it must be auto, none, a URL, or host:port");
  return text;
}

/** The proxy URL in a login file; undefined for `auto` and `none`. */
export const namedProxy = (proxy: string | undefined): string | undefined =>
  proxy === undefined || ["auto", "automatic", "none"].includes(proxy) ? undefined : proxy;
