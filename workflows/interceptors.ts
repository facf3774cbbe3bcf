import type { WorkflowInterceptors } from "@temporalio/workflow";

/** The SDK's own prefix. A signal with it, of which the SDK has none, fails each task of a workflow with a default handler. */
const RESERVED = "__temporal_";

export const interceptors = (): WorkflowInterceptors => ({
  internals: [
    {
      /** Drops signals that the SDK cannot take. */
      activate(input, next) {
        const jobs = input.activation.jobs?.filter(({ signalWorkflow }) => !isReserved(signalWorkflow?.signalName));
        next({ ...input, activation: Object.assign(input.activation, { jobs }) });
      },

      /**
       * Closes a workflow that ended with a CancelledFailure as Canceled. The SDK does so only if Temporal was asked for the
       * cancel; most runs are canceled by our signal.
       */
      concludeActivation(input, next) {
        const commands = input.commands.map((command) =>
          command.failWorkflowExecution?.failure?.canceledFailureInfo ? { cancelWorkflowExecution: {} } : command,
        );
        return next({ ...input, commands });
      },
    },
  ],
});

const isReserved = (signalName: string | null | undefined): boolean => signalName?.startsWith(RESERVED) ?? false;
