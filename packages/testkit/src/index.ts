export { createFakeTime, type FakeTime } from "./fake-time.ts";
export { createSeededRandom, type SeededRandom } from "./seeded-random.ts";
