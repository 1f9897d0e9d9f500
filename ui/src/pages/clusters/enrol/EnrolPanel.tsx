import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useForm, useWatch } from "react-hook-form";
import { ApiError } from "@/api/client";
import { fleetQuery } from "@/api/fleet";
import { createToken, tokensQuery } from "@/api/queries";
import { serverNow } from "@/api/serverClock";
import { sentence } from "@/components/ErrorNotice";
import { FormPanel } from "@/components/FormPanel";
import { TextField } from "@/components/TextField";
import { useNow } from "@/components/useNow";
import { NAME_HELP, nameProblem } from "@/lib/clusterName";
import { checkDescription } from "@/lib/description";
import { dateTimeText, timeZoneText, toLocalInput } from "@/lib/dates";
import { expiryAt, expiryProblem, PRESETS, type ExpiryChoice } from "./expiry";

interface Fields {
  name: string;
  description: string;
  choice: ExpiryChoice;
  custom: string;
}

interface Props {
  onClose: () => void;
  onCreated: (created: { name: string; token: string; expiry: string }) => void;
}

const DAY_MS = 24 * 3_600_000;

/** The form that makes a join token for a new cluster. */
export default function EnrolPanel({ onClose, onCreated }: Props) {
  const client = useQueryClient();
  const form = useForm<Fields>({
    mode: "onChange",
    defaultValues: { name: "", description: "", choice: "24h", custom: toLocalInput(serverNow() + DAY_MS) },
  });
  const { errors, isDirty } = form.formState;
  const [choice, custom] = useWatch({ control: form.control, name: ["choice", "custom"] });

  const creating = useMutation({
    mutationFn: async ({ name, description, choice, custom }: Fields) => {
      const expiry = new Date(expiryAt(choice, custom, serverNow()) ?? serverNow() + DAY_MS).toISOString();
      const { token } = await createToken({ cluster_name: name, description: description.trim(), expiry });
      return { name, token, expiry };
    },
    onSuccess: onCreated,
    onError: (error) => {
      const field = fieldOf(error);
      if (field !== null)
        form.setError(field, { type: "server", message: sentence(error.message) }, { shouldFocus: true });
    },
  });
  const elsewhere = creating.error !== null && fieldOf(creating.error) === null ? creating.error : null;

  const checkName = (name: string) => {
    const problem = nameProblem(name);
    if (problem !== null) return problem;
    if (client.getQueryData(fleetQuery.queryKey)?.some((cluster) => cluster.name === name) === true) {
      return "A cluster with this name is already enrolled.";
    }
    if (client.getQueryData(tokensQuery.queryKey)?.some((token) => token.cluster_name === name) === true) {
      return "There is already a join token for this name. Revoke it first.";
    }
    return true;
  };

  return (
    <FormPanel
      title="Enroll cluster"
      submitLabel="Create join token"
      dirty={isDirty}
      busy={creating.isPending}
      discard={{
        title: "Discard the new cluster?",
        text: "What you typed is lost when the panel closes. No token has been created.",
      }}
      problem={elsewhere === null ? null : { title: "The token was not created", error: elsewhere }}
      onSubmit={() => void form.handleSubmit((fields) => creating.mutate(fields))()}
      onClose={onClose}
    >
      <TextField
        label="Cluster name"
        placeholder="Enter name"
        help={NAME_HELP}
        error={errors.name?.message}
        autoFocus
        registration={form.register("name", { validate: checkName })}
      />
      <TextField
        label="Description"
        placeholder="Enter description"
        error={errors.description?.message}
        registration={form.register("description", { validate: (text) => checkDescription(text.trim()) })}
      />
      <fieldset className="expiry">
        <legend className="p-form__label">Expiry date for join token</legend>
        <div className="expiry__choices">
          {[...PRESETS, { value: "custom", label: "Custom" }].map(({ value, label }) => (
            <label key={value} className="expiry__choice">
              <input type="radio" className="covered-input" value={value} {...form.register("choice")} />
              <span>{label}</span>
            </label>
          ))}
        </div>
        {choice === "custom" && (
          <TextField
            label="Date and time"
            type="datetime-local"
            error={errors.custom?.message}
            registration={form.register("custom", {
              validate: (text, { choice: chosen }) => expiryProblem(chosen, text, serverNow()) ?? true,
            })}
          />
        )}
        <ExpiryText choice={choice} custom={custom} />
      </fieldset>
    </FormPanel>
  );
}

/** The field that the server's refusal is about; null if it is about none of them. */
function fieldOf(error: Error): "name" | "description" | "custom" | null {
  if (!(error instanceof ApiError)) return null;
  if (error.status === 409) return "name";
  if (error.status !== 400) return null;
  if (/expir/i.test(error.message)) return "custom";
  if (/description/i.test(error.message)) return "description";
  return /name/i.test(error.message) ? "name" : null;
}

function ExpiryText({ choice, custom }: { choice: ExpiryChoice; custom: string }) {
  const at = expiryAt(choice, custom, useNow());
  if (at === null) return null;
  return (
    <p className="p-form-help-text expiry__text">
      Expires {dateTimeText(at)}, time zone {timeZoneText(at)}
    </p>
  );
}
