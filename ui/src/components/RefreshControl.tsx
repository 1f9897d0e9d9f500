import Button from "@kit/Button";
import { durationText } from "@/lib/age";
import { PauseIcon, PlayIcon, RefreshIcon } from "./icons";
import { useNowText } from "./useNow";

interface Props {
  /** Milliseconds by the browser's clock; 0 before the first answer. */
  updatedAt: number;
  busy: boolean;
  paused: boolean;
  onPause: (paused: boolean) => void;
  onRefresh: () => void;
}

/** `Updated 12 s ago`, and the means to ask again or to stop asking. */
export function RefreshControl({ updatedAt, busy, paused, onPause, onRefresh }: Props) {
  const age = useNowText(() => durationText((Date.now() - updatedAt) / 1000));
  return (
    <div className="refresh" role="group" aria-label="Updates of this page">
      <span className="refresh__text">
        {updatedAt === 0 ? "" : `${paused ? "Paused, updated" : "Updated"} ${age} ago`}
      </span>
      <Button appearance="base" dense hasIcon type="button" onClick={onRefresh} disabled={busy} title="Refresh now">
        <RefreshIcon />
        <span className="u-off-screen">Refresh now</span>
      </Button>
      <Button
        appearance="base"
        dense
        hasIcon
        type="button"
        aria-pressed={paused}
        onClick={() => onPause(!paused)}
        title={paused ? "Resume automatic updates" : "Pause automatic updates"}
      >
        {paused ? <PlayIcon /> : <PauseIcon />}
        <span className="u-off-screen">Pause automatic updates</span>
      </Button>
    </div>
  );
}
