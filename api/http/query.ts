/** The two parts of a request's URL; a query can contain more question marks. */
export function pathAndQueryOf(url: string): [path: string, query: string] {
  const at = url.indexOf("?");
  return at < 0 ? [url, ""] : [url.slice(0, at), url.slice(at + 1)];
}
