import { CODESPEC_NAME, type CodespecVersion } from "../../model/codespec/codespec.ts";
import { equalityOf } from "../../contract/equality.ts";
import { CODESPEC } from "../../contract/fields/codespec-fields.ts";
import type { InputOf } from "../../contract/fields/message-types.ts";
import { checkCodespec, checkCodespecSize } from "../../model/codespec/codespec-rules.ts";
import { checkMember, type Caller } from "../../model/caller.ts";
import { CodedError, notFound } from "../../model/errors.ts";
import type { CodespecRecords, Page, PageQuery } from "../../model/ports/records.ts";

const MAX_NAME_LENGTH = 255;
const MAX_VERSION = 2 ** 31 - 1;

const isSame = equalityOf(CODESPEC);

export interface CodespecService {
  /** @throws CodedError InvalidInput */
  put(caller: Caller, name: string, given: InputOf<typeof CODESPEC>): Promise<CodespecVersion>;
  /** The latest version, or the one that the text names. @throws CodedError NotFound */
  get(caller: Caller, name: string, version?: string): Promise<CodespecVersion>;
  list(caller: Caller, query: PageQuery & { prefix?: string | undefined }): Promise<Page<CodespecVersion>>;
}

export function createCodespecService(codespecs: CodespecRecords): CodespecService {
  const isName = (name: string): boolean => name !== "" && CODESPEC_NAME.test(name);
  return {
    async put(caller, name, { name: givenName, ...codespec }) {
      checkMember(caller);
      if (!isName(name) || name.length > MAX_NAME_LENGTH) {
        throw new CodedError(
          "InvalidInput",
          `The codespec name '${name}' must have at most ${MAX_NAME_LENGTH} lower case letters, digits, dashes, dots and underscores`,
        );
      }
      checkCodespecSize(codespec);
      checkCodespec(codespec);
      if (givenName !== undefined && givenName !== name) {
        throw new CodedError("InvalidInput", `The codespec name '${givenName}' is not the '${name}' of the path`);
      }
      return codespecs.put(name, codespec, isSame);
    },

    async get(caller, name, version) {
      checkMember(caller);
      const number = version === undefined ? undefined : Number(version);
      const isAskable = version === undefined || (/^[0-9]+$/.test(version) && Number(version) <= MAX_VERSION);
      const found = isName(name) && isAskable ? await codespecs.find(name, number) : undefined;
      if (found === undefined) throw notFound();
      return found;
    },

    async list(caller, query) {
      checkMember(caller);
      return codespecs.list(query);
    },
  };
}
