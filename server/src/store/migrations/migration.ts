/**
 * One step of the schema. Forward only: expand first, contract one release later, so that the previous version can still read.
 * A released migration is never edited.
 */
export interface Migration {
  /** 1, 2, 3 … */
  readonly version: number;
  readonly name: string;
  /** Run in order, within the one transaction of the whole migration. */
  readonly statements: readonly string[];
}
