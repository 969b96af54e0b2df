/** The check that a stream has no hole: each message names the sequence of the one before it. */

/** A message does not follow the one before. */
export class ChainBroken extends Error {
  /**
   * @param expected the sequence that was held.
   * @param got the sequence that the message says came before it.
   */
  constructor(
    readonly expected: bigint,
    readonly got: bigint,
  ) {
    super(`expected a message that follows ${expected}, got one that follows ${got}`);
    this.name = "ChainBroken";
  }
}

/** The place of a reader in one stream. */
export class Chain {
  /** @param position sequence of the last message; undefined before the stream has begun for the first time. */
  constructor(public position?: bigint | undefined) {}

  /** A connection begins after `resumeAfter`; throws `ChainBroken` when that is later than the reader stands. */
  begin(resumeAfter: bigint): void {
    if (this.position !== undefined && resumeAfter > this.position) {
      throw new ChainBroken(this.position, resumeAfter);
    }
    this.position ??= resumeAfter;
  }

  /** What comes next stands for itself: a snapshot, or a stream that numbers from its own beginning. */
  reset(position: bigint): void {
    this.position = position;
  }

  /** Takes a message; false when all of it was had before. Throws `ChainBroken` when something is missing before it. */
  advance(prevSeq: bigint, seq: bigint): boolean {
    const position = this.position ?? 0n;
    if (prevSeq > position) {
      throw new ChainBroken(position, prevSeq);
    }
    if (seq <= position) {
      return false;
    }
    this.position = seq;
    return true;
  }

  /** Takes a heartbeat; throws `ChainBroken` when the server has sent more than has arrived. */
  confirm(lastSeq: bigint): void {
    const position = this.position ?? 0n;
    if (lastSeq > position) {
      throw new ChainBroken(position, lastSeq);
    }
  }
}
