import { CodedError } from "../../model/errors.ts";

const CONTAINER = /^[a-zA-Z0-9]{3,63}$/;
const BLOB_PATH = /^\.?\w+(?:\/\.?\w+)*$/;
/** A stored name is one file name, limited to 255 bytes by file systems; the format's own paths have at most 21. */
const MAX_PATH_LENGTH = 200;

/** @throws CodedError InvalidContainerName for anything that could be a path outside a buffer's folder. */
export function checkContainerName(bufferId: string): void {
  if (CONTAINER.test(bufferId)) return;
  throw new CodedError("InvalidContainerName", `The name '${bufferId}' is not that of a stored buffer`);
}

/** @throws CodedError InvalidBlobName. A valid name cannot leave its container, because no segment consists of dots. */
export function checkBlobPath(blobPath: string): void {
  if (blobPath.length <= MAX_PATH_LENGTH && BLOB_PATH.test(blobPath)) return;
  throw new CodedError("InvalidBlobName", `The blob name '${blobPath}' is not valid`);
}
