import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import Button from "@kit/Button";
import Notification from "@kit/Notifications/Notification";
import type { BulkChanges } from "@/api/types";
import { detailsQuery, type ClusterDetails } from "@/api/queries";
import { errorText } from "@/components/ErrorNotice";
import { EditIcon, UndoIcon } from "@/components/icons";
import { FormPanel } from "@/components/FormPanel";
import { count } from "@/lib/count";
import { checkThreshold } from "@/pages/configure/fields";

interface Props {
  names: readonly string[];
  onSave: (changes: BulkChanges) => void;
  onClose: () => void;
}

const USUAL = 80;

/** Thresholds of several clusters. What is not opened with the pencil stays as it is in each of them. */
export default function BulkConfigurePanel({ names, onSave, onClose }: Props) {
  const details = useQuery(detailsQuery);
  const [disk, setDisk] = useState<string | null>(null);
  const [memory, setMemory] = useState<string | null>(null);
  const clusters = names.flatMap((name) => details.data?.get(name) ?? []);
  const diskNow = common(clusters, "disk_threshold");
  const memoryNow = common(clusters, "memory_threshold");

  const changes: BulkChanges = {
    ...(disk === null || Number(disk) === diskNow ? {} : { disk_threshold: Number(disk) }),
    ...(memory === null || Number(memory) === memoryNow ? {} : { memory_threshold: Number(memory) }),
  };
  const dirty = Object.keys(changes).length > 0;
  const good = [disk, memory].every((text) => text === null || checkThreshold(text) === true);
  return (
    <FormPanel
      title={`Configure ${count(names.length, "cluster")}`}
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
      {details.isError && (
        <Notification severity="caution" title="The present values are not known" titleElement="h3" role="alert">
          {errorText(details.error)}
        </Notification>
      )}
      <Threshold
        label="Disk threshold percentage"
        now={nowText(details.isPending, clusters, diskNow)}
        start={String(diskNow ?? USUAL)}
        value={disk}
        onChange={setDisk}
      />
      <Threshold
        label="Memory threshold percentage"
        now={nowText(details.isPending, clusters, memoryNow)}
        start={String(memoryNow ?? USUAL)}
        value={memory}
        onChange={setMemory}
      />
      <p className="p-form-help-text">Descriptions and everything else stay as they are.</p>
    </FormPanel>
  );
}

/** The value that all have; undefined if they differ or are not known. */
function common(clusters: readonly ClusterDetails[], key: "disk_threshold" | "memory_threshold"): number | undefined {
  const first = clusters[0]?.[key];
  return clusters.every((cluster) => cluster[key] === first) ? first : undefined;
}

function nowText(loading: boolean, clusters: readonly ClusterDetails[], value: number | undefined): string {
  if (loading) return "Loading…";
  if (clusters.length === 0) return "Not known";
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
