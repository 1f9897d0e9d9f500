import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useForm, useWatch } from "react-hook-form";
import Notification from "@kit/Notifications/Notification";
import { ApiError } from "@/api/client";
import { fleetQuery } from "@/api/fleet";
import { changeCluster, clusterQuery, detailsQuery } from "@/api/queries";
import type { Cluster } from "@/api/types";
import { errorText, sentence } from "@/components/ErrorNotice";
import { FormPanel } from "@/components/FormPanel";
import { SidePanel } from "@/components/SidePanel";
import { SkeletonLines } from "@/components/Skeleton";
import { TextField } from "@/components/TextField";
import { useToasts } from "@/components/Toasts";
import { checkDescription } from "@/lib/description";
import { visible } from "@/lib/visible";
import { changesOf, checkThreshold, checkUrl, fieldOf, fieldsOf, THRESHOLD_HELP, type Fields } from "./fields";

interface Props {
  name: string;
  /** The field that gets the focus. */
  focusField: string | null;
  onClose: () => void;
}

/** Thresholds, description and link of one cluster. */
export default function ConfigurePanel({ name, focusField, onClose }: Props) {
  const query = useQuery(clusterQuery(name));
  const title = `Configure cluster ${visible(name)}`;
  if (query.data === undefined) {
    return (
      <SidePanel title={title} onClose={onClose}>
        <div className="side-panel__body">
          {query.isError ? (
            <Notification severity="negative" title="The cluster could not be loaded" titleElement="h3" role="alert">
              {errorText(query.error)}
            </Notification>
          ) : (
            <div role="status" aria-label="Loading the cluster">
              <SkeletonLines lines={6} />
            </div>
          )}
        </div>
      </SidePanel>
    );
  }
  return <ConfigureForm key={name} cluster={query.data} focusField={focusField} onClose={onClose} />;
}

function ConfigureForm({ cluster, focusField, onClose }: { cluster: Cluster } & Omit<Props, "name">) {
  const { name } = cluster;
  const client = useQueryClient();
  const { toast } = useToasts();
  // What the server has may change while somebody types: the form compares with what it began with.
  const form = useForm<Fields>({ mode: "onChange", defaultValues: fieldsOf(cluster) });
  const { errors, defaultValues } = form.formState;
  const values = useWatch({ control: form.control, compute: (fields) => fields });
  const changes = changesOf({ ...fieldsOf(cluster), ...defaultValues }, values);
  const dirty = Object.keys(changes).length > 0;

  const saving = useMutation({
    mutationFn: () => changeCluster(name, changes),
    onSuccess: () => {
      toast("positive", `Updated cluster ${visible(name)}.`);
      for (const { queryKey } of [clusterQuery(name), fleetQuery, detailsQuery]) {
        void client.invalidateQueries({ queryKey });
      }
      onClose();
    },
    onError: (error) => {
      const field = error instanceof ApiError && error.status === 400 ? fieldOf(error.message) : null;
      if (field !== null) {
        form.setError(field, { type: "server", message: sentence(error.message) }, { shouldFocus: true });
      }
    },
  });
  const atField = saving.error instanceof ApiError && saving.error.status === 400 && fieldOf(saving.error.message);
  const focus = focusField ?? "diskThreshold";

  return (
    <FormPanel
      title={`Configure cluster ${visible(name)}`}
      submitLabel="Save changes"
      dirty={dirty}
      busy={saving.isPending}
      canSubmit={dirty && Object.keys(errors).length === 0}
      discard={{ title: "Discard the changes?", text: "What you changed is lost when the panel closes." }}
      problem={saving.error === null || atField ? null : { title: "The changes were not saved", error: saving.error }}
      onSubmit={() => void form.handleSubmit(() => saving.mutate())()}
      onClose={onClose}
    >
      <TextField
        label="Disk threshold percentage"
        type="number"
        min={1}
        max={100}
        help={THRESHOLD_HELP}
        error={errors.disk?.message}
        autoFocus={focus === "diskThreshold"}
        registration={form.register("disk", { validate: checkThreshold })}
      />
      <TextField
        label="Memory threshold percentage"
        type="number"
        min={1}
        max={100}
        help={THRESHOLD_HELP}
        error={errors.memory?.message}
        autoFocus={focus === "memoryThreshold"}
        registration={form.register("memory", { validate: checkThreshold })}
      />
      <TextField
        label="Description"
        error={errors.description?.message}
        autoFocus={focus === "description"}
        registration={form.register("description", { validate: checkDescription })}
      />
      <TextField
        label="Address of the LXD UI"
        placeholder={cluster.ui_url === "" ? "https://…" : cluster.ui_url}
        help="Leave it empty to use the address that the cluster reports."
        error={errors.uiUrl?.message}
        registration={form.register("uiUrl", { validate: checkUrl })}
      />
    </FormPanel>
  );
}
