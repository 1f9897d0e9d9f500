import { useState } from "react";
import Button from "@kit/Button";
import type { BulkChanges } from "@/api/types";
import { EditIcon, UndoIcon } from "@/components/icons";
import { FormPanel } from "@/components/FormPanel";
import { count } from "@/lib/count";
import type { FleetRow } from "@/lib/fleetRow";
import { checkThreshold } from "@/pages/configure/fields";

interface Props {
  clusters: readonly FleetRow[];
  onSave: (changes: BulkChanges) => void;
  onClose: () => void;
}

const USUAL = 80;

/** Thresholds of several clusters. What is not opened with the pencil stays as it is in each of them. */
export default function BulkConfigurePanel({ clusters, onSave, onClose }: Props) {
  const [disk, setDisk] = useState<string | null>(null);
  const [memory, setMemory] = useState<string | null>(null);
  const diskNow = common(clusters, "disk");
  const memoryNow = common(clusters, "memory");

  const changes: BulkChanges = {
    ...(disk === null || Number(disk) === diskNow ? {} : { disk_threshold: Number(disk) }),
    ...(memory === null || Number(memory) === memoryNow ? {} : { memory_threshold: Number(memory) }),
  };
  const dirty = Object.keys(changes).length > 0;
  const good = [disk, memory].every((text) => text === null || checkThreshold(text) === true);
  return (
    <FormPanel
      title={`Configure ${count(clusters.length, "cluster")}`}
      submitLabel="Save changes"
      dirty={dirty}
      busy={false}
      canSubmit={dirty && good}
      discard={{ title: "Discard the changes?", text: "Nothing has been changed yet." }}
      onSubmit={() => {
        onSave(changes);
        onClose();
      }}
      onClose={onClose}
    >
      <Threshold
        label="Disk threshold percentage"
        now={nowText(diskNow)}
        start={String(diskNow ?? USUAL)}
        value={disk}
        onChange={setDisk}
      />
      <Threshold
        label="Memory threshold percentage"
        now={nowText(memoryNow)}
        start={String(memoryNow ?? USUAL)}
        value={memory}
        onChange={setMemory}
      />
      <p className="p-form-help-text">Descriptions and everything else stay as they are.</p>
    </FormPanel>
  );
}

/** The value that all have; undefined if they differ. */
function common(clusters: readonly FleetRow[], key: keyof FleetRow["thresholds"]): number | undefined {
  const first = clusters[0]?.thresholds[key];
  return clusters.every(({ thresholds }) => thresholds[key] === first) ? first : undefined;
}

function nowText(value: number | undefined): string {
  return value === undefined ? "Multiple values" : `${value} %`;
}

interface ThresholdProps {
  label: string;
  now: string;
  /** What the input begins with. */
  start: string;
  /** Null while it is not being changed. */
  value: string | null;
  onChange: (value: string | null) => void;
}

function Threshold({ label, now, start, value, onChange }: ThresholdProps) {
  const problem = value === null ? true : checkThreshold(value);
  const id = `bulk-${label.split(" ")[0]?.toLowerCase() ?? ""}`;
  return (
    <div className={problem === true ? "p-form__group" : "p-form__group p-form-validation is-error"}>
      {value === null ? (
        <span className="p-form__label">{label}</span>
      ) : (
        <label className="p-form__label" htmlFor={id}>
          {label}
        </label>
      )}
      <div className="bulk-field">
        {value === null ? (
          <>
            <span>{now}</span>
            <Button
              type="button"
              appearance="base"
              hasIcon
              title={`Set ${label}`}
              aria-label={`Set ${label}`}
              onClick={() => onChange(start)}
            >
              <EditIcon />
            </Button>
          </>
        ) : (
          <>
            <input
              id={id}
              type="number"
              min={1}
              max={100}
              autoFocus
              value={value}
              aria-invalid={problem !== true}
              aria-describedby={problem === true ? undefined : `${id}-error`}
              onChange={(event) => onChange(event.target.value)}
            />
            <Button type="button" appearance="base" hasIcon title="Undo change" onClick={() => onChange(null)}>
              <UndoIcon />
            </Button>
          </>
        )}
      </div>
      {problem !== true && (
        <p className="p-form-validation__message" id={`${id}-error`} role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}
