import { LIMITS, RESERVED_KEYS } from "@bunting/contracts/literals";
import { jsonPointer } from "../json-pointer.ts";

/*
 * The edge where a body becomes a value. JSON.parse alone is too kind: it keeps the last of two equal keys, turns 1e400 into
 * Infinity and 10000000000000000999 into 10000000000000000000, takes lone surrogates and `__proto__`, and at some thousand
 * levels of nesting the code behind it runs out of stack. So one scan looks for all of that first, and JSON.parse only ever
 * sees what passed. What is accepted here is a subset of RFC 8259.
 */

export type JsonReading = { readonly ok: true; readonly value: unknown } | ({ readonly ok: false } & JsonFlaw);

/** What is wrong, without echoing the body. `path` is the JSON pointer of the value it concerns. */
export interface JsonFlaw {
  /** `invalid_json`: not JSON at all. `invalid_request`: JSON, but of a shape that is refused everywhere. */
  readonly code: "invalid_json" | "invalid_request";
  readonly message: string;
  readonly path: string;
}

/** Never throws. */
export function parseJson(bytes: Uint8Array): JsonReading {
  const text = decode(bytes);
  if (text === null) return { ok: false, code: "invalid_json", message: "The body is not valid UTF-8.", path: "" };
  try {
    new Scanner(text).scan();
  } catch (error) {
    if (error instanceof Flaw) return { ok: false, code: error.code, message: error.message, path: error.path };
    throw error;
  }
  return { ok: true, value: JSON.parse(text) };
}

/** Null where the bytes are not UTF-8. A byte order mark stays in the text, where the scan refuses it. */
function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

class Flaw extends Error {
  readonly code: JsonFlaw["code"];
  readonly path: string;

  constructor(code: JsonFlaw["code"], message: string, path: string) {
    super(message);
    this.code = code;
    this.path = path;
  }
}

const ZERO = 0x30;
const NINE = 0x39;
const DOT = 0x2e;
const EXPONENT = 0x65;
const LOWER_CASE = 0x20;
/** A whole number of so many digits is below 2^53. */
const SAFE_DIGITS = 15;

const isDigit = (code: number): boolean => code >= ZERO && code <= NINE;

const RESERVED: ReadonlySet<string> = new Set(RESERVED_KEYS);

/** Recursive descent; the depth limit is also the bound of its own stack. */
class Scanner {
  readonly #text: string;
  /** Keys and indices from the root to the value being read. */
  readonly #path: (string | number)[] = [];
  /** RFC 8259, section 6. Sticky: matches at `lastIndex` or not at all. */
  readonly #numberPattern = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  scan(): void {
    this.#skipSpace();
    this.#value();
    this.#skipSpace();
    if (this.#at < this.#text.length) this.#malformed();
  }

  #value(): void {
    switch (this.#text.charAt(this.#at)) {
      case "{":
        return this.#object();
      case "[":
        return this.#array();
      case '"':
        return void this.#string();
      case "t":
        return this.#word("true");
      case "f":
        return this.#word("false");
      case "n":
        return this.#word("null");
      default:
        return this.#number();
    }
  }

  #object(): void {
    this.#enter();
    const keys = new Set<string>();
    if (this.#endsAtOnce("}")) return;
    do {
      this.#skipSpace();
      if (this.#text[this.#at] !== '"') this.#malformed();
      const key = this.#string();
      this.#path.push(key);
      if (RESERVED.has(key)) this.#refuse("This key is reserved.");
      if (keys.has(key)) this.#refuse("This key occurs twice in its object.");
      keys.add(key);
      if (keys.size > LIMITS.jsonKeysPerObject) this.#refuse(`At most ${LIMITS.jsonKeysPerObject} keys in an object.`);
      this.#skipSpace();
      if (this.#text[this.#at] !== ":") this.#malformed();
      this.#at++;
      this.#element();
      this.#path.pop();
    } while (this.#continues("}"));
  }

  #array(): void {
    this.#enter();
    if (this.#endsAtOnce("]")) return;
    let index = 0;
    do {
      this.#path.push(index++);
      this.#element();
      this.#path.pop();
    } while (this.#continues("]"));
  }

  /** Steps behind an opening bracket. The path holds one entry per container around this one. */
  #enter(): void {
    if (this.#path.length >= LIMITS.jsonDepth) this.#refuse(`At most ${LIMITS.jsonDepth} levels of nesting.`);
    this.#at++;
    this.#skipSpace();
  }

  #endsAtOnce(bracket: "}" | "]"): boolean {
    if (this.#text[this.#at] !== bracket) return false;
    this.#at++;
    return true;
  }

  #element(): void {
    this.#skipSpace();
    this.#value();
    this.#skipSpace();
  }

  /** After an element: a comma continues, the bracket ends, anything else is malformed. */
  #continues(bracket: "}" | "]"): boolean {
    const character = this.#text[this.#at];
    if (character !== "," && character !== bracket) this.#malformed();
    this.#at++;
    return character === ",";
  }

  /** Reads a string and returns it decoded, so that `"\u0061"` and `"a"` are the same key. */
  #string(): string {
    const start = this.#at++;
    let escaped = false;
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code === 0x22) break;
      // Beyond the end charCodeAt is NaN, which is not at least 0x20 either.
      if (!(code >= 0x20)) this.#malformed();
      if (code === 0x5c) {
        escaped = true;
        this.#escape();
      } else this.#at++;
    }
    this.#at++;
    const source = this.#text.slice(start, this.#at);
    const value = escaped ? (JSON.parse(source) as string) : source.slice(1, -1);
    if (escaped && value.includes("\0")) this.#refuse("NUL characters are not allowed.");
    if (escaped && !value.isWellFormed()) this.#refuse("Lone surrogates are not allowed.");
    if (value.length * 3 > LIMITS.jsonStringBytes && Buffer.byteLength(value) > LIMITS.jsonStringBytes) {
      this.#refuse(`At most ${LIMITS.jsonStringBytes} bytes of UTF-8 in a string.`);
    }
    return value;
  }

  #escape(): void {
    const letter = this.#text[this.#at + 1] ?? "";
    if (letter === "u") {
      if (!/^[0-9A-Fa-f]{4}$/.test(this.#text.slice(this.#at + 2, this.#at + 6))) this.#malformed();
      this.#at += 6;
    } else if (letter !== "" && '"\\/bfnrt'.includes(letter)) this.#at += 2;
    else this.#malformed();
  }

  #word(word: "true" | "false" | "null"): void {
    if (!this.#text.startsWith(word, this.#at)) this.#malformed();
    this.#at += word.length;
  }

  #number(): void {
    if (this.#digits()) return;
    this.#numberPattern.lastIndex = this.#at;
    const match = this.#numberPattern.exec(this.#text) ?? this.#malformed();
    const [source, fraction, exponent] = match;
    const value = Number(source);
    if (!Number.isFinite(value)) this.#refuse("The number is too large.");
    if (fraction === undefined && exponent === undefined && !Number.isSafeInteger(value)) {
      this.#refuse("The integer is beyond 2^53 - 1 and would change its value.");
    }
    this.#at += source.length;
  }

  /** Most numbers are short and whole, and need neither a match nor a number of their own to be found right. */
  #digits(): boolean {
    let end = this.#at;
    while (isDigit(this.#text.charCodeAt(end))) end += 1;
    const length = end - this.#at;
    if (length === 0 || length > SAFE_DIGITS) return false;
    if (length > 1 && this.#text.charCodeAt(this.#at) === ZERO) return false;
    const next = this.#text.charCodeAt(end);
    if (next === DOT || (next | LOWER_CASE) === EXPONENT) return false;
    this.#at = end;
    return true;
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #malformed(): never {
    const byte = Buffer.byteLength(this.#text.slice(0, this.#at));
    throw new Flaw("invalid_json", `The body is not JSON: reading stopped at byte ${byte}.`, "");
  }

  #refuse(message: string): never {
    throw new Flaw("invalid_request", message, jsonPointer(this.#path));
  }
}
