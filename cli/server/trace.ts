import type { HttpHooks } from "../../client/http/http.ts";
import type { Log } from "../terminal/log.ts";

/** Query values that can be shown; signatures and the like must not be. */
const SHOWN_VALUES = new Set(["api-version", "writeable"]);

type Hook<K extends "onRequest" | "onResponse"> = Parameters<NonNullable<HttpHooks[K]>>[0];

/** Logs that a request is being sent, and its headers. */
export function traceRequest(log: Log, { method, url, headers }: Hook<"onRequest">): void {
  if (!log.isEnabled("trace")) return;
  const shown = `${url.origin}${url.pathname}${redactedQuery(url.searchParams)}`;
  log.trace("Sending request", { method, url: shown, proxy: "" });
  log.trace("Request", { dump: dumpOf(`${method} ${url.pathname}`, Object.entries(headers)) });
}

/** Logs the headers of an answer, whatever its status. */
export function traceResponse(log: Log, { status, statusText, rawHeaders }: Hook<"onResponse">): void {
  if (!log.isEnabled("trace")) return;
  const headers = rawHeaders.flatMap((name, at): [string, string][] =>
    at % 2 === 0 ? [[name, rawHeaders[at + 1] ?? ""]] : [],
  );
  log.trace("Response", { dump: dumpOf(`${status} ${statusText}`, headers) });
}

function redactedQuery(query: URLSearchParams): string {
  const pairs = [...query].map(([name, value]) => `${name}=${SHOWN_VALUES.has(name) ? value : "REDACTED"}`);
  return pairs.length > 0 ? `?${pairs.join("&")}` : "";
}

/** The first line and the headers, with names in their usual spelling, which the library changes. */
function dumpOf(first: string, headers: readonly (readonly [string, string])[]): string {
  const lines = headers.map(([name, value]) => {
    const isSecret = name.toLowerCase() === "authorization";
    return `${usualSpelling(name)}: ${isSecret ? "REDACTED" : value}`;
  });
  return [first, ...lines].join(" | ");
}

const usualSpelling = (name: string): string =>
  name.toLowerCase().replace(/(?<=^|-)[a-z]/g, (letter) => letter.toUpperCase());
