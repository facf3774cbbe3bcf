import { describe, expect, test } from "vitest";
import { parseServerUrl, shownUrlOf, storedUrlOf } from "../../client/address.ts";

describe("server URLs", () => {
  test.each([
    ["http://host:8080", "http://host:8080", "http://host:8080"],
    ["http://host:8080/", "http://host:8080", "http://host:8080"],
    ["http://host/base/", "http://host/base", "http://host/base"],
    ["http://[::1]:80", "http://[::1]", "http://[::1]"],
    ["https://host:8443/base", "https://host:8443/base", "https://host:8443/base"],
    ["unix:///opt/tyger/api.sock", "http+unix:///opt/tyger/api.sock:", "unix:///opt/tyger/api.sock"],
    ["http+unix:///opt/tyger/api.sock", "http+unix:///opt/tyger/api.sock:", "unix:///opt/tyger/api.sock"],
    ["http+unix:///opt/tyger/api.sock:", "http+unix:///opt/tyger/api.sock:", "unix:///opt/tyger/api.sock"],
    ["unix:///opt/tyger/api.sock/", "http+unix:///opt/tyger/api.sock:", "unix:///opt/tyger/api.sock"],
    ["unix://api.sock", `http+unix://${process.cwd()}/api.sock:`, `unix://${process.cwd()}/api.sock`],
  ])("%s", (text, stored, shown) => {
    const address = parseServerUrl(text);
    expect(storedUrlOf(address)).toBe(stored);
    expect(shownUrlOf(address)).toBe(shown);
    expect(parseServerUrl(stored)).toEqual(address);
  });

  test.each(["", "host", "/path", "ftp://host", "http://", "http://user:pass@host", "http://host?x=1", "ssh://host"])(
    "'%s' is refused",
    (text) => {
      expect(() => parseServerUrl(text)).toThrow(/URL|supported/);
    },
  );
});
