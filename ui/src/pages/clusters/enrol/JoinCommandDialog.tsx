import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { Link } from "react-router";
import Button from "@kit/Button";
import Icon from "@kit/Icon";
import Modal from "@kit/Modal";
import Notification from "@kit/Notifications/Notification";
import { fleetQuery } from "@/api/fleet";
import { tokensQuery } from "@/api/queries";
import { CopyButton } from "@/components/CopyButton";
import { useReturnFocus } from "@/components/focus";
import { useNowText } from "@/components/useNow";
import { dateTimeText, parseTime } from "@/lib/dates";
import { timeLeftText } from "@/lib/tokenState";

interface Props {
  name: string;
  token: string;
  expiry: string;
  onClose: () => void;
}

/** The command to run on the new cluster. The token is shown here once and kept nowhere. */
export default function JoinCommandDialog({ name, token, expiry, onClose }: Props) {
  const command = `microcloud cluster-manager join ${token}`;
  const heading = useRef<HTMLDivElement>(null);
  const left = useNowText((now) => timeLeftText({ expiry }, now));
  useReturnFocus();

  return (
    <Modal
      title={`Join token for cluster ${name} created`}
      close={onClose}
      closeOnOutsideClick={false}
      focusRef={heading}
      className="join-dialog"
      buttonRow={
        <>
          <CopyButton text={token} label="Copy token" />
          <CopyButton text={command} label="Copy command" appearance="positive" />
          <Button type="button" onClick={onClose}>
            Close
          </Button>
        </>
      }
    >
      <div tabIndex={-1} ref={heading} className="join-dialog__start">
        <p>Run this command on any member of the MicroCloud:</p>
      </div>
      <pre className="join-dialog__command" tabIndex={0} aria-label="Join command">
        <code>{command}</code>
      </pre>
      <p>
        The token is valid for one join until {dateTimeText(parseTime(expiry))} ({left}).
      </p>
      <Notification severity="caution" title="Shown only once" titleElement="h3">
        Copy the command now: the token cannot be shown again after this dialog is closed.
      </Notification>
      <Arrival name={name} onFollow={onClose} />
    </Modal>
  );
}

const ASK_AGAIN_MS = 3000;

/** Waits for the cluster: its token goes away when it joins, or when somebody revokes it. */
function Arrival({ name, onFollow }: { name: string; onFollow: () => void }) {
  const client = useQueryClient();
  const joined = useQuery({ ...fleetQuery, enabled: false }).data?.some((cluster) => cluster.name === name) ?? false;
  const tokens = useQuery({ ...tokensQuery, refetchInterval: joined ? false : ASK_AGAIN_MS });
  const pending = tokens.data?.some((token) => token.cluster_name === name) ?? true;

  // The list of clusters is large: it is asked for only once the small list says that something happened.
  const { dataUpdatedAt } = tokens;
  useEffect(() => {
    if (!pending && !joined) {
      // A failure is tried again with the next answer about the tokens.
      client.query({ ...fleetQuery, staleTime: 0 }).catch(() => undefined);
    }
  }, [client, pending, joined, dataUpdatedAt]);

  return (
    <p className="join-dialog__arrival" role="status">
      {joined ? (
        <>
          <Icon name="success" aria-hidden="true" />
          <span>
            <Link to={`/cluster/${encodeURIComponent(name)}`} onClick={onFollow}>
              {name}
            </Link>{" "}
            has joined.
          </span>
        </>
      ) : pending ? (
        <>
          <Icon name="spinner" className="u-animation--spin" aria-hidden="true" />
          <span>Waiting for {name} to join…</span>
        </>
      ) : (
        <>
          <Icon name="information" aria-hidden="true" />
          <span>The token is gone, but {name} is not enrolled. Was it revoked?</span>
        </>
      )}
    </p>
  );
}
