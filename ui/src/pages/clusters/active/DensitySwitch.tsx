import { useState } from "react";
import Button from "@kit/Button";
import { ComfortableIcon, CompactIcon } from "@/components/icons";
import { read, write } from "@/lib/browserStorage";

export type Density = "compact" | "comfortable";

/** Pixels per row; the style sheet draws them with the same heights. */
export const ROW_HEIGHTS = { compact: 40, comfortable: 56, phone: 56 } as const;

const KEY = "cluster-list-density";

/** The density of the list, remembered in this browser. */
export function useDensity(): [Density, (density: Density) => void] {
  const [density, setDensity] = useState<Density>(() => (read(KEY) === "comfortable" ? "comfortable" : "compact"));
  const choose = (next: Density) => {
    write(KEY, next);
    setDensity(next);
  };
  return [density, choose];
}

export function DensitySwitch({ density, onChange }: { density: Density; onChange: (density: Density) => void }) {
  const compact = density === "compact";
  return (
    <Button
      appearance="base"
      dense
      hasIcon
      type="button"
      className="density-switch"
      aria-pressed={compact}
      onClick={() => onChange(compact ? "comfortable" : "compact")}
      title={compact ? "Show taller rows" : "Show more rows"}
    >
      {compact ? <ComfortableIcon /> : <CompactIcon />}
      <span className="u-off-screen">Compact rows</span>
    </Button>
  );
}
