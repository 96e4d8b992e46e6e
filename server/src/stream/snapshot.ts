import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { RulesetFlag, RulesetSegment } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import type { EnvironmentState } from "../ledger/state.ts";
import type { Block } from "./change-log.ts";
import { deflatedTextFrame, textFrame } from "./frame.ts";

const gzipped = promisify(gzip);

/** The whole ruleset of one environment at one position, in every form in which it is sent. Each is made once, on demand. */
export interface Snapshot {
  readonly epoch: string;
  readonly revision: number;
  /** Bytes of its messages, uncompressed. */
  readonly bytes: number;
  /** Frames for a socket; compressed for clients that negotiated it. */
  blocks(deflated: boolean): readonly Block[];
  /** One message with everything, for pollers. */
  body(): Buffer;
  gzippedBody(): Promise<Buffer>;
}

type Kind = "flags" | "segments";

interface Member {
  readonly kind: Kind;
  /** `"key":{…}` */
  readonly text: string;
  readonly bytes: number;
}

/** Makes snapshots of one environment. Remembers the text of entries, which most snapshots share with the one before. */
export class SnapshotFactory {
  readonly #members = new WeakMap<RulesetFlag | RulesetSegment, Member>();

  make(epoch: string, environment: EnvironmentState): Snapshot {
    const { revision, checksum } = environment;
    const members = [
      ...Array.from(environment.flags.values(), (flag) => this.#member("flags", flag)),
      ...Array.from(environment.segments.values(), (segment) => this.#member("segments", segment)),
    ];
    const groups = groupBySize(members, LIMITS.snapshotPartBytes - ENVELOPE_BYTES);
    const partTexts = groups.map((group, index) =>
      snapshotText({ epoch, revision, checksum, part: index + 1, parts: groups.length }, group),
    );
    const asBlocks = (frame: (text: string) => Buffer): readonly Block[] =>
      partTexts.map((text, index) => lazyBlock(() => frame(text), index === groups.length - 1 ? revision : null));
    const body = once(() =>
      Buffer.from(snapshotText({ epoch, revision, checksum, part: 1, parts: 1 }, members), "utf8"),
    );
    const plain = once(() => asBlocks(textFrame));
    const deflated = once(() => asBlocks(deflatedTextFrame));
    return {
      epoch,
      revision,
      bytes: partTexts.reduce((sum, text) => sum + Buffer.byteLength(text), 0),
      blocks: (compressed) => (compressed ? deflated() : plain()),
      body,
      gzippedBody: once(() => gzipped(body())),
    };
  }

  #member(kind: Kind, entry: RulesetFlag | RulesetSegment): Member {
    const known = this.#members.get(entry);
    if (known) return known;
    const text = `${JSON.stringify(entry.key)}:${JSON.stringify(entry)}`;
    const member = { kind, text, bytes: Buffer.byteLength(text) + 1 };
    this.#members.set(entry, member);
    return member;
  }
}

/** Room for everything in a part but its members: epoch, numbers, punctuation, frame header. */
const ENVELOPE_BYTES = 512;

/** Fills parts in order. A member larger than a part is a part of its own; nothing at all is one empty part. */
function groupBySize(members: readonly Member[], limit: number): readonly (readonly Member[])[] {
  const groups: Member[][] = [[]];
  let bytes = 0;
  for (const member of members) {
    if (bytes > 0 && bytes + member.bytes > limit) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)?.push(member);
    bytes += member.bytes;
  }
  return groups;
}

interface Envelope {
  readonly epoch: string;
  readonly revision: number;
  readonly checksum: string;
  readonly part: number;
  readonly parts: number;
}

function snapshotText(envelope: Envelope, members: readonly Member[]): string {
  const head = JSON.stringify({ type: "snapshot", ...envelope }).slice(0, -1);
  const record = (kind: Kind): string =>
    members
      .filter((member) => member.kind === kind)
      .map(({ text }) => text)
      .join();
  return `${head},"flags":{${record("flags")}},"segments":{${record("segments")}}}`;
}

function lazyBlock(frame: () => Buffer, reaches: number | null): Block {
  const made = once(frame);
  return {
    get frame() {
      return made();
    },
    reaches,
  };
}

function once<Value extends object>(make: () => Value): () => Value {
  let value: Value | undefined;
  return () => (value ??= make());
}
