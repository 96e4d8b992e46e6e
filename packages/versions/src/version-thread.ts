import { type Failure, VersionError } from "./errors.ts";
import type { Cancel, Clock, Scheduler, Thread, Threads } from "./ports.ts";
import type { Answers, Reply, RequestOf, RequestType } from "./worker/protocol.ts";

export type Asked<Answer> =
  | { readonly ok: true; readonly answer: Answer; readonly heapBytes: number }
  | { readonly ok: false; readonly failure: Failure };

interface Question {
  readonly settle: (asked: Asked<Answers[RequestType]>) => void;
  readonly cancelDeadline: Cancel;
}

export interface ThreadHost {
  readonly threads: Threads;
  readonly scheduler: Scheduler;
  readonly clock: Clock;
  /** The thread ended while nobody asked it anything. */
  ended(failure: Failure): void;
}

/** A version's thread as something that is asked: each question has a deadline, and each gets one answer, whatever happens. */
export class VersionThread {
  private readonly thread: Thread;
  private readonly host: ThreadHost;
  private readonly questions: Question[] = [];
  private over: Failure | null = null;

  constructor(host: ThreadHost) {
    this.host = host;
    this.thread = host.threads.start({
      replied: (reply) => this.replied(reply),
      ended: (failure) => this.ended(failure),
    });
  }

  /**
   * Never rejects. A thread that misses the deadline is ended: nothing else stops an endless loop.
   *
   * @throws VersionError `not_cloneable`, and then nothing was asked.
   */
  ask<Type extends RequestType>(request: RequestOf<Type>, deadlineMs: number): Promise<Asked<Answers[Type]>> {
    const { over } = this;
    if (over !== null) return Promise.resolve({ ok: false, failure: over });
    try {
      this.thread.send(request);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new VersionError("not_cloneable", `The input cannot be sent to another thread: ${reason}`, {
        cause: error,
      });
    }
    return new Promise((resolve) => {
      const cancelDeadline = this.host.scheduler.after(deadlineMs, () => {
        void this.end();
        this.ended({ code: "stalled", message: `No answer to "${request.type}" within ${deadlineMs} ms.` });
      });
      // Answers come in the order of questions, so each is of its question's type.
      const settle = resolve as (asked: Asked<Answers[RequestType]>) => void;
      this.questions.push({ settle, cancelDeadline });
    });
  }

  end(): Promise<void> {
    return this.thread.end();
  }

  private replied(reply: Reply): void {
    const question = this.questions.shift();
    question?.cancelDeadline();
    question?.settle(reply.ok ? reply : { ok: false, failure: reply.failure });
  }

  private ended(failure: Failure): void {
    if (this.over !== null) return;
    this.over = failure;
    const questions = this.questions.splice(0);
    for (const { cancelDeadline, settle } of questions) {
      cancelDeadline();
      settle({ ok: false, failure });
    }
    if (questions.length === 0) this.host.ended(failure);
  }
}
