import { expect, test } from "vitest";
import { isImageName } from "../../../model/codespec/image-name.ts";

const DIGEST = `sha256:${"0123456789abcdef".repeat(4)}`;

test.each([
  "ubuntu",
  "ubuntu:24.04",
  "a",
  "my_image__x.y--z",
  "library/ubuntu",
  "localhost/x:1",
  "localhost:5000/team/image:Tag_1.2-3",
  "Registry.Example.com/x",
  "127.0.0.1:5000/x",
  "[::1]:5000/x",
  "x:_",
  DIGEST,
  `ubuntu@${DIGEST}`,
  `ghcr.io/a/b/c:latest@${DIGEST}`,
])("an image can be called %s", (name) => {
  expect(isImageName(name)).toBe(true);
});

test.each([
  "",
  "ubuntu latest",
  "-rm",
  "--rm",
  "Ubuntu",
  "ubuntu:",
  "ubuntu:24 04",
  ":latest",
  "/ubuntu",
  "ubuntu/",
  "a//b",
  "a..b",
  ".a",
  "_a",
  "https://docker.io/ubuntu",
  "ubuntu:x:y",
  "ubuntu@latest",
  "ubuntu;ls",
  "$IMAGE",
  "./image.tar",
  "über",
  `x:${"t".repeat(129)}`,
  "ubuntu\n",
])("no image can be called %j", (name) => {
  expect(isImageName(name)).toBe(false);
});

test("a name that nearly fits is refused at once, however long it is", () => {
  expect(isImageName(`${"a-".repeat(50_000)}!`)).toBe(false);
  expect(isImageName(`${"a.".repeat(50_000)}/!`)).toBe(false);
});
