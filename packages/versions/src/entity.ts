import type { Placement } from "@bunting/sdk";
import { type EntityEvent, type EntityMove, nextMove, ownerOf, STRANDED } from "./lifecycle/entity-move.ts";

/** A state, and whose it is. */
export interface Backup {
  readonly version: string;
  readonly state: unknown;
}

/** One entity that the module owns: where it is, where it belongs, and what is kept of it in case its version goes. */
export class Entity {
  readonly name: string;
  move: EntityMove = STRANDED;
  placement: Placement | null = null;
  /** What the split says, whether or not that version can be used. */
  routed: string | null = null;
  /** The newest state that is safe here. */
  backup: Backup;
  /** The last state that each version had of it before it left, for a way back without a migration. */
  readonly saved = new Map<string, unknown>();
  /** Versions that refused it since its route last changed. */
  readonly refusedBy = new Set<string>();
  /** Batches that its version had done when it joined. */
  joinedAt = 0;
  /** Place in the module's order. */
  index = 0;
  /** The version that it was with before its last move. */
  previous: string | null = null;

  constructor(name: string, backup: Backup) {
    this.name = name;
    this.backup = backup;
  }

  get owner(): string | null {
    return ownerOf(this.move);
  }

  happened(event: EntityEvent): void {
    this.move = nextMove(this.move, event);
  }
}
