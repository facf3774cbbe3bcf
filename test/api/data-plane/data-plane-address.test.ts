import { expect, test } from "vitest";
import { baseUrlOf, type DataOrigins } from "../../../api/data-plane/data-plane-address.ts";

const control = "https://0.0.0.0:8080";
const data = "http://0.0.0.0:8443";
const publicUrl = "https://data.example.org/tyger";

test.each<[string, DataOrigins, string | undefined, string | undefined]>([
  ["nothing listens on TCP", {}, undefined, undefined],
  ["one listener: its client's own address", { control }, "tunnel:9999", "https://tunnel:9999"],
  ["one listener, a client of the socket", { control }, undefined, "https://localhost:8080"],
  ["one listener, a host that cannot be one", { control }, "a b", "https://localhost:8080"],
  ["two: the host of its client, another port", { control, data }, "10.0.0.5:8080", "http://10.0.0.5:8443"],
  ["two, an IPv6 client", { control, data }, "[fd00::1]:8080", "http://[fd00::1]:8443"],
  ["two, a client of the socket", { control, data }, undefined, "http://localhost:8443"],
  ["two, the data plane on one address", { control, data: "http://10.0.0.5:8443" }, "h:1", "http://10.0.0.5:8443"],
  ["only the data plane, on IPv6", { data: "https://[::]:8443" }, undefined, "https://localhost:8443"],
  ["a public URL", { control, data, publicUrl }, "10.0.0.5:8080", publicUrl],
  ["a public URL, and no listener of our own", { publicUrl }, undefined, publicUrl],
])("%s", (_name, origins, host, expected) => {
  expect(baseUrlOf(origins, host)).toBe(expected);
});
