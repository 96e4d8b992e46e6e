/** Something that takes a while, and how far it is. */
export interface Progress {
  update(done: number, message: string): void;
  /** Takes the bar away; what it led to is printed by whoever started it. */
  end(): void;
}
