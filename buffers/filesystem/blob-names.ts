import { CodedError } from "../../model/errors.ts";

const CONTAINER = /^[a-zA-Z0-9]{3,63}$/;
const BLOB_PATH = /^\.?\w+(?:\/\.?\w+)*$/;
/** A stored name is one file name, of which file systems take 255 bytes; the format's own paths have at most 21. */
const MAX_PATH_LENGTH = 200;

/** @throws CodedError InvalidContainerName for anything that could name another place than a buffer's. */
export function checkContainerName(bufferId: string): void {
  if (CONTAINER.test(bufferId)) return;
  throw new CodedError("InvalidContainerName", `The name '${bufferId}' is not that of a stored buffer`);
}

/** @throws CodedError InvalidBlobName; what passes cannot leave its container, for no segment is made of dots. */
export function checkBlobPath(blobPath: string): void {
  if (blobPath.length <= MAX_PATH_LENGTH && BLOB_PATH.test(blobPath)) return;
  throw new CodedError("InvalidBlobName", `The blob name '${blobPath}' is not valid`);
}
