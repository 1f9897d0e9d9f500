import { useId } from "react";
import { RANGES, type Range } from "@/lib/ranges";

interface Props {
  label: string;
  range: Range;
  offered?: readonly Range[];
  onChange: (range: Range) => void;
}

/** Chooses the span of time that charts show. */
export function RangeSwitch({ label, range, offered, onChange }: Props) {
  const name = useId();
  return (
    <fieldset className="segments" aria-label={label}>
      {RANGES.filter(({ value }) => offered?.includes(value) ?? true).map(({ value, label: text }) => (
        <label key={value} className="segments__choice">
          <input
            type="radio"
            className="covered-input"
            name={name}
            value={value}
            checked={range === value}
            onChange={() => onChange(value)}
          />
          <span>{text}</span>
        </label>
      ))}
    </fieldset>
  );
}
