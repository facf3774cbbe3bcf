import { equalityOf } from "../../contract/equality.ts";
import { CODESPEC } from "../../contract/fields/codespec-fields.ts";

/** The comparison that the API gives to the records. */
export const isSameCodespec = equalityOf(CODESPEC);
