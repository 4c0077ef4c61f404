import { RpcError, Status } from "@zerobind/core";
import type { CallOptions, JobContext, OperationContext } from "@zerobind/core";
import { jobMetadata } from "./job-metadata.ts";
import type { Answer, ThreadMethod } from "./thread-messages.ts";
import type { WorkerPool } from "./worker-pool.ts";
import type { WorkerThread } from "./worker-thread.ts";

/** A method as a pool carries it out. */
export interface Forwarded extends ThreadMethod {
  readonly path: string;
  /** Whether the contract lets it be carried out twice. */
  readonly isIdempotent: boolean;
}

/** How often a call is given to a thread, if those before have ended with it. */
const maxThreads = 3;

/** What a handler gets: the context of a call, or that of a job. */
type AnyContext = OperationContext | JobContext;

/** The method of a handler that has it carried out by a thread. */
export function forwarding(pool: WorkerPool, method: Forwarded): (request: unknown, context: AnyContext) => unknown {
  const streams = method.kind === "server_stream" || method.kind === "bidi_stream";
  return (request, context) =>
    streams ? streamOf(pool, method, request, context) : replyOf(pool, method, request, context);
}

async function replyOf(pool: WorkerPool, method: Forwarded, request: unknown, context: AnyContext): Promise<unknown> {
  for (let attempt = 1; ; attempt++) {
    const turn = await Turn.begin(pool, method, context);
    try {
      const answer = (await turn.call(request)) as Answer;
      return answer.value;
    } catch (error) {
      turn.failed(error, attempt < maxThreads);
    } finally {
      turn.end();
    }
  }
}

async function* streamOf(
  pool: WorkerPool,
  method: Forwarded,
  request: unknown,
  context: AnyContext,
): AsyncGenerator<unknown, void> {
  for (let attempt = 1; ; attempt++) {
    const turn = await Turn.begin(pool, method, context);
    try {
      for await (const message of turn.call(request) as AsyncIterable<unknown>) {
        turn.hasBegun = true;
        // Whoever wants no more ends the stream here.
        turn.isLeft = true;
        yield message;
        turn.isLeft = false;
      }
      return;
    } catch (error) {
      turn.isLeft = false;
      turn.failed(error, attempt < maxThreads);
    } finally {
      turn.end();
    }
  }
}

/** One call in one thread. */
class Turn {
  /** Nobody waits for it, and the thread does not know yet. */
  isLeft = false;
  /** Its caller has got something of the answer. */
  hasBegun = false;
  readonly #pool: WorkerPool;
  readonly #thread: WorkerThread;
  readonly #method: Forwarded;
  readonly #context: AnyContext;

  private constructor(pool: WorkerPool, thread: WorkerThread, method: Forwarded, context: AnyContext) {
    this.#pool = pool;
    this.#thread = thread;
    this.#method = method;
    this.#context = context;
  }

  static async begin(pool: WorkerPool, method: Forwarded, context: AnyContext): Promise<Turn> {
    return new Turn(pool, await pool.acquire(method.path, context.signal), method, context);
  }

  call(request: unknown): unknown {
    const { isJob, localName } = this.#method;
    const options = isJob
      ? jobOptions(this.#context as JobContext)
      : callOptions(this.#context as OperationContext, () => (this.hasBegun = true));
    return this.#thread.client[localName]!(request, options);
  }

  /** Throws what the call shall end with; returns if another thread may try. */
  failed(error: unknown, mayTryAgain: boolean): void {
    const { code } = RpcError.from(error);
    this.isLeft = code === Status.CANCELLED || code === Status.DEADLINE_EXCEEDED;
    if (!this.#thread.over || this.#context.signal.aborted) throw error;
    this.#pool.lost();
    const { path, kind, isIdempotent } = this.#method;
    const isSentOnce = kind === "client_stream" || kind === "bidi_stream";
    if (mayTryAgain && isIdempotent && !isSentOnce && !this.hasBegun) return;
    throw new RpcError(Status.UNAVAILABLE, `${path}: the worker thread that held the call has ended`, { cause: error });
  }

  end(): void {
    this.#pool.release(this.#thread, this.#method.path, this.isLeft);
  }
}

function callOptions(context: OperationContext, begun: () => void): CallOptions {
  return {
    detached: true,
    signal: context.signal,
    timeoutMs: context.timeRemainingMs(),
    metadata: context.metadata,
    onHeader(header) {
      if (header.size === 0) return;
      begun();
      context.setHeader(header);
      context.sendHeader();
    },
    onTrailer(trailer) {
      if (trailer.size > 0) context.setTrailer(trailer);
    },
  };
}

function jobOptions(context: JobContext): CallOptions {
  const { signal } = context;
  return { detached: true, signal, timeoutMs: context.timeRemainingMs(), metadata: jobMetadata(context) };
}
