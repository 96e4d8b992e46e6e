import { LIMITS } from "@bunting/contracts/literals";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseJson } from "./json.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const raw = (...values: number[]): Uint8Array => Uint8Array.from(values);
const nested = (depth: number, open = "[", close = "]"): string => open.repeat(depth) + close.repeat(depth);

/*
 * Named as the public corpora name their cases: y_ must be accepted, n_ must be refused, i_ is left to the implementation and
 * stands here with what this one does.
 */
const ACCEPTED: Record<string, string> = {
  y_array_empty: "[]",
  y_array_with_spaces: "[ 1 ,\t2\r\n, 3 ]",
  y_object_empty: "{}",
  y_object_nested: '{"a":{"b":[{"c":null}]}}',
  y_object_same_key_in_two_objects: '[{"a":1},{"a":2}]',
  y_object_empty_key: '{"":0}',
  y_object_prototype_like_key: '{"__proto":1,"proto":2,"toString":3,"hasOwnProperty":4}',
  y_scalar_true: "true",
  y_scalar_false: "false",
  y_scalar_null: " null ",
  y_scalar_string: '"x"',
  y_string_escapes: String.raw`"\"\\\/\b\f\n\r\t"`,
  y_string_unicode_escape: String.raw`"\u00e9\u20AC"`,
  y_string_surrogate_pair_escaped: String.raw`"\ud83d\ude00"`,
  y_string_surrogate_pair_raw: '"😀"',
  y_string_line_separator: '"\u2028\u2029"',
  y_string_delete: '"\u007f"',
  y_string_noncharacter: '"\uffff"',
  y_number_zero: "0",
  y_number_negative_zero: "-0",
  y_number_fraction: "-12.3450",
  y_number_exponent: "[1e3,1E+3,1e-3,1.5e2]",
  y_number_safe_integers: "[9007199254740991,-9007199254740991]",
  y_number_largest: "1.7976931348623157e308",
  i_number_underflow: "1e-400",
  i_number_fraction_of_many_digits: "0.1000000000000000055511151231257827",
  i_number_integer_in_exponent_notation: "1e30",
  i_structure_at_the_depth_limit: nested(LIMITS.jsonDepth),
  i_structure_objects_at_the_depth_limit: `${'{"a":'.repeat(LIMITS.jsonDepth)}1${"}".repeat(LIMITS.jsonDepth)}`,
  i_string_at_the_limit: `"${"é".repeat(LIMITS.jsonStringBytes / 2)}"`,
};

const MALFORMED: Record<string, string | Uint8Array> = {
  n_empty: "",
  n_space: "  \n",
  n_byte_order_mark: "\ufeff{}",
  n_two_values: "1 2",
  n_array_unclosed: "[1",
  n_array_trailing_comma: "[1,]",
  n_array_leading_comma: "[,1]",
  n_array_double_comma: "[1,,2]",
  n_array_colon: "[1:2]",
  n_array_closed_twice: "[1]]",
  n_array_mismatched: "[1}",
  n_object_unclosed: '{"a":1',
  n_object_trailing_comma: '{"a":1,}',
  n_object_no_colon: '{"a" 1}',
  n_object_no_value: '{"a":}',
  n_object_unquoted_key: "{a:1}",
  n_object_single_quotes: "{'a':1}",
  n_object_number_key: "{1:1}",
  n_comment: "[1/* x */]",
  n_word_capital: "True",
  n_word_cut: "nul",
  n_word_continued: "nulll",
  n_word_nan: "NaN",
  n_word_infinity: "-Infinity",
  n_word_undefined: "undefined",
  n_number_leading_zero: "01",
  n_number_plus: "+1",
  n_number_leading_dot: ".5",
  n_number_trailing_dot: "5.",
  n_number_double_minus: "--1",
  n_number_minus_alone: "-",
  n_number_bare_exponent: "1e",
  n_number_hexadecimal: "0x1F",
  n_number_underscore: "1_000",
  n_number_bigint: "1n",
  n_number_full_width: "１",
  n_string_unclosed: '"abc',
  n_string_escaped_end: String.raw`"abc\"`,
  n_string_raw_newline: '"a\nb"',
  n_string_raw_tab: '"a\tb"',
  n_string_raw_nul: '"a\0b"',
  n_string_unknown_escape: String.raw`"\x41"`,
  n_string_short_unicode_escape: String.raw`"\u12"`,
  n_string_bad_unicode_escape: String.raw`"\u12g4"`,
  n_string_backslash_at_end: '"\\',
  n_space_nonbreaking: "\u00a01",
  n_space_vertical_tab: "\v1",
  n_utf8_continuation_alone: raw(0x22, 0x80, 0x22),
  n_utf8_overlong: raw(0x22, 0xc0, 0xaf, 0x22),
  n_utf8_surrogate: raw(0x22, 0xed, 0xa0, 0x80, 0x22),
  n_utf8_beyond_unicode: raw(0x22, 0xf4, 0x90, 0x80, 0x80, 0x22),
  n_utf8_cut: raw(0x22, 0xe2, 0x82, 0x22),
  n_utf16_little_endian: raw(0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00),
  n_latin1: raw(0x22, 0xe9, 0x22),
};

/** Valid JSON that is refused all the same, with the place of what is wrong. */
const REFUSED: Record<string, readonly [source: string, path: string]> = {
  i_object_duplicate_key: ['{"a":1,"b":2,"a":3}', "/a"],
  i_object_duplicate_key_escaped: [String.raw`{"a":1,"\u0061":2}`, "/a"],
  i_object_duplicate_key_deep: ['{"x":[{"k":1,"k":1}]}', "/x/0/k"],
  i_object_proto: ['{"__proto__":{"admin":true}}', "/__proto__"],
  i_object_proto_escaped: [String.raw`{"\u005f_proto__":1}`, "/__proto__"],
  i_object_constructor: ['{"a":{"constructor":1}}', "/a/constructor"],
  i_object_prototype: ['[{"prototype":1}]', "/0/prototype"],
  i_string_lone_high_surrogate: [String.raw`["\ud83d"]`, "/0"],
  i_string_lone_low_surrogate: [String.raw`["\ude00"]`, "/0"],
  i_string_inverted_surrogates: [String.raw`["\ude00\ud83d"]`, "/0"],
  i_string_escaped_nul: [String.raw`{"a":"x\u0000y"}`, "/a"],
  i_number_huge_exponent: ["[1e400]", "/0"],
  i_number_negative_huge_exponent: ["-1e400", ""],
  i_number_very_long_integer: ["1".repeat(400), ""],
  i_number_integer_out_of_range: ['{"n":10000000000000000999}', "/n"],
  i_number_first_unsafe_integer: ["[0,9007199254740992]", "/1"],
  i_number_first_unsafe_negative: ["-9007199254740992", ""],
  i_string_one_byte_too_long: [`["${"a".repeat(LIMITS.jsonStringBytes + 1)}"]`, "/0"],
  i_structure_one_level_too_deep: [nested(LIMITS.jsonDepth + 1), "/0".repeat(LIMITS.jsonDepth)],
  i_structure_hundred_thousand_open: ["[".repeat(100_000), "/0".repeat(LIMITS.jsonDepth)],
  i_structure_hundred_thousand_objects: ['{"a":'.repeat(100_000), "/a".repeat(LIMITS.jsonDepth)],
};

describe("a JSON body is read strictly", () => {
  it.each(Object.entries(ACCEPTED))("accepts %s as JSON.parse reads it", (_name, source) => {
    expect(parseJson(bytes(source))).toEqual({ ok: true, value: JSON.parse(source) });
  });

  it.each(Object.entries(MALFORMED))("refuses %s as no JSON", (_name, source) => {
    const reading = parseJson(typeof source === "string" ? bytes(source) : source);
    expect(reading).toMatchObject({ ok: false, code: "invalid_json", path: "" });
  });

  it.each(Object.entries(REFUSED))("refuses %s and names the place", (_name, [source, path]) => {
    expect(parseJson(bytes(source))).toMatchObject({ ok: false, code: "invalid_request", path });
  });

  it("counts the keys of one object", () => {
    const object = (count: number): string =>
      `{${Array.from({ length: count }, (_, index) => `"k${index}":0`).join()}}`;
    expect(parseJson(bytes(object(LIMITS.jsonKeysPerObject)))).toMatchObject({ ok: true });
    expect(parseJson(bytes(object(LIMITS.jsonKeysPerObject + 1)))).toMatchObject({ ok: false });
  });

  it("names the byte where reading stopped, not the character, and never the text", () => {
    const reading = parseJson(bytes('{"é":hunter2}'));
    expect(reading).toMatchObject({ message: "The body is not JSON: reading stopped at byte 6." });
    expect(JSON.stringify(reading)).not.toContain("hunter2");
  });
});

describe("whatever the bytes are", () => {
  /** JSON with a few bytes exchanged: close enough to valid to reach every branch. */
  const damaged = fc
    .tuple(
      fc.json({ maxDepth: 6 }),
      fc.array(fc.tuple(fc.nat(), fc.constantFrom(...Array.from('{}[]",:\\u0-1.e ntf\0\x80\xff')))),
    )
    .map(([text, edits]) => {
      const result = bytes(text);
      for (const [at, character] of edits) if (result.length > 0) result[at % result.length] = character.charCodeAt(0);
      return result;
    });

  it("never throws, accepts only what JSON.parse accepts, and reads the same", () => {
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 64 })), (body) => {
        const reading = parseJson(body);
        if (!reading.ok) return;
        expect(reading.value).toEqual(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body)));
      }),
      { numRuns: 3_000 },
    );
  });

  it("accepts everything that JSON.stringify wrote of ordinary values", () => {
    const ordinary = fc.jsonValue({ maxDepth: 5, noUnicodeString: false });
    fc.assert(
      fc.property(ordinary, (value) => {
        const source = JSON.stringify(value);
        fc.pre(source.isWellFormed() && !/\\u|__proto__|constructor|prototype/.test(source));
        fc.pre(!/(?<![.\deE+-])-?\d{16,}(?![.\deE])/.test(source));
        expect(parseJson(bytes(source))).toEqual({ ok: true, value: JSON.parse(source) });
      }),
      { numRuns: 2_000 },
    );
  });
});
