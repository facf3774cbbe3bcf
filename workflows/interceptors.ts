import type { WorkflowInterceptors } from "@temporalio/workflow";

/** The SDK's own prefix. A signal with it, of which the SDK has none, fails each task of a workflow with a default handler. */
const RESERVED = "__temporal_";

/** Drops signals that the SDK cannot take. */
export const interceptors = (): WorkflowInterceptors => ({
  internals: [
    {
      activate(input, next) {
        const jobs = input.activation.jobs?.filter(({ signalWorkflow }) => !isReserved(signalWorkflow?.signalName));
        next({ ...input, activation: Object.assign(input.activation, { jobs }) });
      },
    },
  ],
});

const isReserved = (signalName: string | null | undefined): boolean => signalName?.startsWith(RESERVED) ?? false;
