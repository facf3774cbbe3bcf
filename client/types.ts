import type { BUFFER } from "../contract/fields/buffer-fields.ts";
import type { CODESPEC } from "../contract/fields/codespec-fields.ts";
import type { AnswerOf, RequestOf } from "../contract/fields/message-types.ts";
import type { RUN } from "../contract/fields/run-fields.ts";
import type { METADATA } from "../contract/fields/server-fields.ts";
import { isTerminal, type RunStatus as KnownStatus } from "../model/run/run.ts";

/** The types of requests and answers, inferred from the contract's tables of fields. */

/** A newer server may have statuses that are not in the list; such a run counts as open. */
export type RunStatus = KnownStatus | (string & {});

/** A run as the server shows it. Fields that a newer server adds are in the object, too. */
export type Run = Omit<AnswerOf<typeof RUN>, "status"> & { status: RunStatus };
/** A run that is to be created; the server fills in the fields that are left out. */
export type NewRun = RequestOf<typeof RUN>;

/** A buffer as the server shows it. The name `Buffer` is taken by the runtime. */
export type TygerBuffer = AnswerOf<typeof BUFFER>;
export type NewBuffer = RequestOf<typeof BUFFER>;

/** A stored version of a codespec. */
export type CodespecVersion = AnswerOf<typeof CODESPEC>;
export type NewCodespec = RequestOf<typeof CODESPEC>;
export type JobCodespec = Extract<NewCodespec, { kind: "job" }>;
export type WorkerCodespec = Extract<NewCodespec, { kind: "worker" }>;

/** The server's capabilities. A proxy in front of it can leave fields out. */
export type ServiceMetadata = Partial<AnswerOf<typeof METADATA>>;

/** Whether a run has ended, so that its status never changes again. */
export const hasEnded = (run: { status: RunStatus }): boolean => isTerminal(run.status as KnownStatus);
