// What is said of a moment, in a sentence.

import { count, decimal, kind, signed } from "./format.js";

const amount = (type, value) =>
  type === "sentiment_shift" ? signed(value) : value < 100 && !Number.isInteger(value) ? decimal(value) : count(value);

export function sentence({ moment_type: type, value, baseline_mean: mean, baseline_stddev: deviation }) {
  const { unit } = kind(type);
  const spread = amount(type, deviation).replace("+", "");
  return `${amount(type, value)} ${unit}, where ${amount(type, mean)} ± ${spread} is usual`.replace(" ,", ",");
}

// Of a hundred moments like this one, so many are expected to be chance.
export function chance({ chance }) {
  if (chance === null) return "chance not known yet";
  return chance < 0.001 ? "chance below 0.1 %" : `chance ${decimal(chance * 100, chance < 0.1 ? 1 : 0)} %`;
}

export const strength = ({ score }) => `score ${decimal(Math.abs(score))}`;
