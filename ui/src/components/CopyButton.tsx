import { useEffect, useState } from "react";
import Button from "@kit/Button";
import Icon from "@kit/Icon";
import { useToasts } from "./Toasts";

const TICK_MS = 5000;

interface Props {
  text: string;
  label: string;
  appearance?: "positive" | "base" | "default";
  /** Leaves the label to screen readers and the tooltip. */
  iconOnly?: boolean;
}

/** Puts a text on the clipboard and shows a tick for five seconds. */
export function CopyButton({ text, label, appearance = "default", iconOnly = false }: Props) {
  const [copied, setCopied] = useState(false);
  const { toast } = useToasts();

  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), TICK_MS);
    return () => clearTimeout(timer);
  }, [copied]);

  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
    } catch {
      toast("negative", "The browser did not allow copying. Select the text and copy it with the keyboard.");
    }
  };

  return (
    <Button
      type="button"
      appearance={appearance}
      hasIcon
      dense={iconOnly}
      title={iconOnly ? label : undefined}
      onClick={() => void copy()}
    >
      <Icon name={copied ? "success" : "copy"} light={appearance === "positive" && !copied} />
      <span className={iconOnly ? "u-off-screen" : undefined}>{label}</span>
      <span className="u-off-screen" role="status">
        {copied ? "Copied" : ""}
      </span>
    </Button>
  );
}
