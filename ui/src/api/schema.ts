// Written by ./dev generate from docs/openapi.json: change the API, not this file.

export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @enum {string} */
        ActionName: "edit" | "remove";
        /** @description One change for many clusters. `changes` belongs to `edit`. */
        ActionsBody: {
            action: components["schemas"]["ActionName"];
            changes?: null | components["schemas"]["ChangeBody"];
            names: string[];
        };
        /** @description What came of it for each cluster, in the order asked for. */
        ActionsView: {
            results: components["schemas"]["ResultView"][];
        };
        /** @description A page of records. */
        AuditPage: {
            /**
             * Format: int64
             * @description What to give as `before` for the next page; null on the last one.
             */
            next: number | null;
            records: components["schemas"]["AuditRecord"][];
        };
        /** @description A record as the API shows it. */
        AuditRecord: {
            actor: string;
            actor_kind: string;
            actor_name: string;
            /** Format: date-time */
            at: string;
            details: Record<string, never>;
            event: string;
            /** Format: int64 */
            id: number;
            object: string;
            outcome: string;
            request_id: string;
            source: string;
        };
        /** @description Body of a change. What is absent or null stays; a threshold of 0 stays, as clients know it. */
        ChangeBody: {
            /** @default null */
            description: string | null;
            /**
             * Format: int64
             * @default null
             */
            disk_threshold: number | null;
            /**
             * Format: int64
             * @default null
             */
            memory_threshold: number | null;
            /** @default null */
            status: string | null;
            /**
             * @description Where the link to the cluster's own web UI leads instead of the address that the cluster reports; empty: there.
             * @default null
             */
            ui_url: string | null;
        };
        /** @description A cluster as the API shows it. The keys from `state` on are ours; the others and their order are those of the contract. */
        ClusterView: {
            /** Format: int64 */
            ceph_count: number;
            ceph_statuses: components["schemas"]["StatusCount"][];
            certificate_fingerprint: string;
            /** Format: date-time */
            certificate_not_after: string;
            cluster_certificate: string;
            cpu_load_1: string;
            cpu_load_15: string;
            cpu_load_5: string;
            /** Format: int64 */
            cpu_total_count: number;
            /** Format: date-time */
            created_at: string;
            description: string;
            /** Format: int32 */
            disk_threshold: number;
            /** Format: float */
            heartbeat_interval_seconds: number;
            /** Format: int64 */
            instance_count: number;
            instance_statuses: components["schemas"]["StatusCount"][];
            /** Format: date-time */
            joined_at: string;
            /** Format: date-time */
            last_heartbeat_at: string | null;
            /**
             * Format: date-time
             * @description The last heartbeat; before the first one, the time of the join.
             */
            last_status_update_at: string;
            /** Format: int64 */
            member_count: number;
            member_statuses: components["schemas"]["StatusCount"][];
            /** Format: int32 */
            memory_threshold: number;
            /** Format: int64 */
            memory_total_amount: number;
            /** Format: int64 */
            memory_usage: number;
            name: string;
            state: components["schemas"]["Freshness"];
            status: string;
            storage_pool_usages: components["schemas"]["StoragePoolUsage"][];
            tunnel_registered: boolean;
            /** @description Where the link leads: to the address that the cluster reports, unless an operator wrote another one. */
            ui_url: string;
            /** @description What an operator wrote; empty: nothing. */
            ui_url_override: string;
            warnings: components["schemas"]["Warning"][];
        };
        /** @description A cluster in few figures. */
        CompactRow: {
            /** @description What operators wrote about it. */
            description: string;
            /** @description Instances: all, running ones, those in an error state, stopped and frozen ones. */
            instances: [
                number,
                number,
                number,
                number,
                number
            ];
            /**
             * Format: int64
             * @description When it enrolled, in seconds since 1970.
             */
            joined: number;
            /** @description Load average over one minute, as text; empty when unknown. */
            load: string;
            /** @description Cluster members: all, those not online, and of these the offline, the evacuated and the blocked ones. */
            members: [
                number,
                number,
                number,
                number,
                number
            ];
            /** @description Memory in bytes: used and all. */
            memory: [
                number,
                number
            ];
            /** @description Unique name. */
            name: string;
            pool: null | components["schemas"]["FullestPool"];
            /**
             * Format: int64
             * @description Last heartbeat in seconds since 1970.
             */
            seen: number | null;
            /** @description Whether it is alive. */
            state: components["schemas"]["Freshness"];
            /** @description Storage of all pools in bytes: used and all. */
            storage: [
                number,
                number
            ];
            /** @description From which percentage on storage pools and memory are too full; 0: never. */
            thresholds: [
                number,
                number
            ];
            /** @description Whether requests can be sent through the cluster's tunnel. */
            tunnel: boolean;
            /** @description Kinds of its warnings, one entry per warning; of very many the first 32. */
            warnings: string[];
        };
        /** @description A cluster in few figures: the values without their keys. */
        CompactValues: [
            string,
            string,
            components["schemas"]["Freshness"],
            number | null,
            [
                number,
                number,
                number,
                number,
                number
            ],
            [
                number,
                number,
                number,
                number,
                number
            ],
            [
                number,
                number
            ],
            [
                number,
                number
            ],
            null | components["schemas"]["FullestPool"],
            string,
            boolean,
            string[],
            [
                number,
                number
            ],
            number
        ];
        /** @description Load averages over one minute. */
        Cpu: {
            /**
             * Format: int64
             * @description Cores of these clusters.
             */
            cores: number;
            /**
             * Format: double
             * @description Sum of all members of all clusters.
             */
            load: number;
            /**
             * Format: double
             * @description The part of it in clusters that tell how many cores they have.
             */
            load_of_cores: number;
        };
        /** @description The metadata `{}`. */
        EmptyObject: Record<string, never>;
        /** @description How many sessions ended. */
        EndedSessions: {
            /** Format: int64 */
            ended: number;
        };
        /** @description A success. */
        Envelope: {
            /** @enum {string} */
            error: "";
            /** @enum {integer} */
            error_code: 0;
            /** @description Depends on the operation */
            metadata: unknown;
            /** @enum {string} */
            operation: "";
            /** @enum {string} */
            status: "Success";
            /** @enum {integer} */
            status_code: 200;
            /** @enum {string} */
            type: "sync";
        };
        /** @description An error. */
        ErrorEnvelope: {
            /** @description For people */
            error: string;
            /** @description The HTTP status */
            error_code: number;
            metadata: null;
            /** @enum {string} */
            operation: "";
            /** @enum {string} */
            status: "";
            /** @enum {integer} */
            status_code: 0;
            /** @enum {string} */
            type: "error";
        };
        /** @description A step, what came of it, and what that means. */
        Finding: {
            /** @description What came of it. */
            result: components["schemas"]["Outcome"];
            /** @description The step. */
            step: components["schemas"]["Step"];
            /** @description A sentence or two for people: what was found, and what to do about it. */
            text: string;
        };
        /** @description Averages over one interval. */
        FleetHistoryPoint: {
            /**
             * Format: date-time
             * @description Beginning of the interval.
             */
            at: string;
            /** Format: double */
            clusters: number;
            /** Format: double */
            instances: number;
            /** Format: double */
            members: number;
            /**
             * Format: double
             * @description Bytes.
             */
            memory_total: number;
            /**
             * Format: double
             * @description Bytes.
             */
            memory_used: number;
            /** Format: double */
            online: number;
            /** Format: double */
            with_warnings: number;
        };
        /** @description The history of the fleet. Intervals in which no Management API ran have no point. */
        FleetHistoryView: {
            /** Format: date-time */
            from: string;
            points: components["schemas"]["FleetHistoryPoint"][];
            /** Format: int64 */
            step_seconds: number;
            /** Format: date-time */
            to: string;
        };
        /**
         * @description How a cluster stands, judged by the age of its last heartbeat against its own interval.
         * @enum {string}
         */
        Freshness: "online" | "stale" | "offline" | "waiting" | "never";
        /** @description A cluster and its fullest storage pool. */
        FullPool: {
            /** @description The cluster. */
            name: string;
            /**
             * Format: int64
             * @description How full it is in percent, rounded up.
             */
            percent: number;
            /** @description The pool. */
            pool: string;
        };
        /** @description Name of a pool and how full it is, in whole percent, rounded up. */
        FullestPool: [
            string,
            number
        ];
        /** @description What a MicroCloud reports about itself. Any key may be missing or null; unknown keys are ignored. */
        Heartbeat: {
            /**
             * @description MicroCeph members by state.
             * @default []
             */
            ceph_statuses: components["schemas"]["StatusCount"][] | null;
            /**
             * @description Load average over one minute, as text with two decimals.
             * @default
             */
            cpu_load_1: string | null;
            /**
             * @description Load average over fifteen minutes.
             * @default
             */
            cpu_load_15: string | null;
            /**
             * @description Load average over five minutes.
             * @default
             */
            cpu_load_5: string | null;
            /**
             * Format: int64
             * @description Number of CPUs; members of every release so far send 0.
             * @default 0
             */
            cpu_total_count: number | null;
            /**
             * @description Instances of all projects by state.
             * @default []
             */
            instance_statuses: components["schemas"]["StatusCount"][] | null;
            /**
             * @description LXD cluster members by state.
             * @default []
             */
            member_statuses: components["schemas"]["StatusCount"][] | null;
            /**
             * Format: int64
             * @description Memory of all members, in bytes.
             * @default 0
             */
            memory_total_amount: number | null;
            /**
             * Format: int64
             * @description Used memory of all members, in bytes.
             * @default 0
             */
            memory_usage: number | null;
            /**
             * @description Metrics of the members.
             * @default []
             */
            server_metrics: components["schemas"]["MemberMetrics"][] | null;
            /**
             * @description Storage pools: a local pool once per member, a remote one once.
             * @default []
             */
            storage_pool_usages: Record<string, never>[] | null;
            /**
             * @description Address of the cluster's own web UI.
             * @default
             */
            ui_url: string | null;
        };
        /** @description Metadata of the answer to a heartbeat. Members ignore it; scripts and tests read it. */
        HeartbeatReply: {
            cluster_manager_address: string;
            /** @description Whole seconds, as text. */
            next_update_in_seconds: string;
        };
        /** @description The history of a cluster. Intervals without a heartbeat have no point. */
        HistoryView: {
            /** Format: date-time */
            from: string;
            points: components["schemas"]["PointView"][];
            /** Format: int64 */
            step_seconds: number;
            /** Format: date-time */
            to: string;
        };
        /** @description A person who has logged in. */
        Identity: {
            /** Format: date-time */
            created_at: string;
            email: string;
            /** Format: int64 */
            id: number;
            issuer: string;
            /** Format: date-time */
            last_seen: string;
            name: string;
            /** Format: int64 */
            sessions: number;
            subject: string;
        };
        /** @description Instances of all clusters by state. */
        Instances: {
            /**
             * Format: int64
             * @description In an error state.
             */
            error: number;
            /**
             * Format: int64
             * @description Frozen.
             */
            frozen: number;
            /**
             * Format: int64
             * @description In any other state.
             */
            other: number;
            /**
             * Format: int64
             * @description Running, and ready, which is running.
             */
            running: number;
            /**
             * Format: int64
             * @description Stopped.
             */
            stopped: number;
            /**
             * Format: int64
             * @description All.
             */
            total: number;
        };
        /** @description A pending token as listed. `expired` is ours, the other keys are those of the contract. */
        JoinTokenView: {
            cluster_name: string;
            /** Format: date-time */
            created_at: string;
            description: string;
            expired: boolean;
            /** Format: date-time */
            expiry: string;
            /** @description Whether it gives an enrolled cluster another certificate. */
            rotation: boolean;
        };
        /** @description What the identity provider makes of our settings. */
        LoginCheckView: {
            /** @description The configured identity provider. */
            issuer: string;
            /** @description Whether people can log in, as far as it can be seen. */
            ok: boolean;
            /** @description The address that has to be registered there. */
            redirect_uri: string;
            /** @description The steps in their order; those after a failed one may be missing. */
            steps: components["schemas"]["Finding"][];
        };
        /** @description The form in which the token comes. */
        LogoutForm: {
            /** @description The signed token. */
            logout_token: string;
        };
        /** @description Averages and highest values of one interval. */
        Measure: {
            /** Format: float */
            avg: number;
            /** Format: float */
            max: number;
        };
        /** @description The metrics of one member. */
        MemberMetrics: {
            /**
             * @description The member's name.
             * @default
             */
            member: string | null;
            /**
             * @description Prometheus's text format.
             * @default
             */
            metrics: string | null;
            /**
             * @description What the metrics are of; members send `LXD`.
             * @default
             */
            service: string | null;
        };
        /** @description Members of all clusters. */
        Members: {
            /**
             * Format: int64
             * @description Blocked.
             */
            blocked: number;
            /**
             * Format: int64
             * @description Evacuated.
             */
            evacuated: number;
            /**
             * Format: int64
             * @description Those in another state than online.
             */
            not_online: number;
            /**
             * Format: int64
             * @description Offline.
             */
            offline: number;
            /**
             * Format: int64
             * @description All.
             */
            total: number;
        };
        NewTokenBody: {
            /** @default null */
            cluster_name: string | null;
            /** @default null */
            description: string | null;
            /** @default null */
            expiry: string | null;
        };
        NewTokenView: {
            token: string;
        };
        /**
         * @description What came of a step.
         * @enum {string}
         */
        Outcome: "ok" | "warning" | "failed" | "skipped";
        PointView: {
            /**
             * Format: date-time
             * @description Beginning of the interval.
             */
            at: string;
            /** Format: int32 */
            heartbeats: number;
            instances: components["schemas"]["Measure"];
            load: null | components["schemas"]["Measure"];
            members: components["schemas"]["Measure"];
            /** @description Bytes. */
            memory: components["schemas"]["Measure"];
            /** Format: float */
            memory_total: number;
            /** @description Used percent by pool name: of the whole pool, and of its fullest member. */
            storage: {
                [key: string]: components["schemas"]["Measure"];
            };
        };
        ResultView: {
            error: string | null;
            name: string;
            /**
             * Format: int32
             * @description The status that the same change gets for this cluster alone.
             */
            status: number;
        };
        /**
         * @description What a person may do; each role includes the ones before it.
         * @enum {string}
         */
        Role: "viewer" | "operator" | "admin";
        RotationBody: {
            /** @default null */
            expiry: string | null;
        };
        /** @description Body of a join as it is sent. Members send all three keys; unknown ones are ignored. */
        SentJoin: {
            /** @default null */
            cluster_certificate: string | null;
            /** @default null */
            cluster_name: string | null;
            /** @default null */
            token: string | null;
        };
        ServerView: {
            email: string;
            groups: string[];
            name: string;
            role?: null | components["schemas"]["Role"];
            trusted: boolean;
        };
        /** @description A session as its person, or an administrator, sees it. */
        Session: {
            /** Format: date-time */
            created_at: string;
            /** @description Whether this very request belongs to it. */
            current: boolean;
            /** Format: date-time */
            expires_at: string;
            id: string;
            /** Format: date-time */
            last_used_at: string;
            source: string;
            user_agent: string;
            /** Format: date-time */
            verified_at: string;
        };
        /** @description Clusters by state. */
        States: {
            /**
             * Format: int64
             * @description Never heard of.
             */
            never: number;
            /**
             * Format: int64
             * @description Silent.
             */
            offline: number;
            /**
             * Format: int64
             * @description Heard of in time.
             */
            online: number;
            /**
             * Format: int64
             * @description Late.
             */
            stale: number;
            /**
             * Format: int64
             * @description All.
             */
            total: number;
            /**
             * Format: int64
             * @description Joined a moment ago.
             */
            waiting: number;
            /**
             * Format: int64
             * @description With at least one warning.
             */
            with_warnings: number;
        };
        /** @description How many things are in one state. The order of a list is kept as received. */
        StatusCount: {
            /**
             * Format: int64
             * @description How many, at least 0.
             */
            count: number;
            /** @description The state, in the words of LXD or MicroCeph. */
            status: string;
        };
        /**
         * @description A step of a login.
         * @enum {string}
         */
        Step: "discovery" | "issuer" | "endpoints" | "keys" | "scopes" | "redirect" | "secret" | "logouts" | "audience" | "groups";
        /** @description Space in a storage pool. */
        StoragePoolUsage: {
            /**
             * @description The member that holds a local pool; empty for a remote one.
             * @default
             */
            member: string;
            /**
             * @description Name of the pool.
             * @default
             */
            name: string;
            /**
             * Format: int64
             * @description Size in bytes.
             * @default 0
             */
            total: number;
            /**
             * Format: int64
             * @description Used bytes.
             * @default 0
             */
            usage: number;
        };
        /** @description The fleet in few numbers. */
        Summary: {
            /**
             * Format: date-time
             * @description When this was so.
             */
            at: string;
            /** @description Clusters by state. */
            clusters: components["schemas"]["States"];
            /** @description Load of the processors. */
            cpu: components["schemas"]["Cpu"];
            /** @description Instances of all clusters. */
            instances: components["schemas"]["Instances"];
            /** @description Members of all clusters. */
            members: components["schemas"]["Members"];
            /** @description Memory in bytes. */
            memory: components["schemas"]["Usage"];
            /** @description Storage in bytes. */
            storage: components["schemas"]["Usage"];
            /** @description The worst clusters. */
            top: components["schemas"]["Top"];
            /** @description How many clusters have a warning of each kind. */
            warnings: {
                [key: string]: number;
            };
        };
        /** @description At most five clusters for each thing that can be wrong, the worst first. */
        Top: {
            /** @description The least free memory. */
            memory: components["schemas"]["TopMemory"][];
            /** @description Silent for the longest time. */
            silent: components["schemas"]["TopSilent"][];
            /** @description The fullest storage pools. */
            storage: components["schemas"]["FullPool"][];
            /** @description The most warnings. */
            warnings: components["schemas"]["TopWarnings"][];
        };
        /** @description A cluster and its memory. */
        TopMemory: {
            /** @description The cluster. */
            name: string;
            /**
             * Format: int64
             * @description Used memory in percent, rounded up.
             */
            percent: number;
        };
        /** @description A cluster that is late or silent. */
        TopSilent: {
            /** @description The cluster. */
            name: string;
            /**
             * Format: date-time
             * @description Its last heartbeat; before the first one, when it joined.
             */
            since: string;
        };
        /** @description A cluster and its warnings. */
        TopWarnings: {
            /**
             * Format: int64
             * @description How many it has.
             */
            count: number;
            /** @description The cluster. */
            name: string;
        };
        /** @description Bytes. */
        Usage: {
            /**
             * Format: int64
             * @description All.
             */
            total: number;
            /**
             * Format: int64
             * @description Used.
             */
            used: number;
        };
        /** @description One reason to look at a cluster. Percentages are rounded up. */
        Warning: {
            /** @enum {string} */
            kind: "pool";
            /** @description Its member; empty for a remote pool. */
            member: string;
            /** @description The pool. */
            name: string;
            /**
             * Format: int64
             * @description How full it is.
             */
            percent: number;
            /**
             * Format: int32
             * @description The threshold.
             */
            threshold: number;
        } | {
            /** @enum {string} */
            kind: "memory";
            /**
             * Format: int64
             * @description How much is used.
             */
            percent: number;
            /**
             * Format: int32
             * @description The threshold.
             */
            threshold: number;
        } | {
            /**
             * Format: int64
             * @description How many.
             */
            count: number;
            /** @enum {string} */
            kind: "members";
        } | {
            /**
             * Format: int64
             * @description How many.
             */
            count: number;
            /** @enum {string} */
            kind: "instances";
        } | {
            /** @enum {string} */
            kind: "heartbeat";
            /**
             * Format: int64
             * @description Whole minutes since its last heartbeat, or since it joined.
             */
            minutes: number;
        } | {
            /**
             * Format: int64
             * @description How many.
             */
            count: number;
            /** @enum {string} */
            kind: "ceph";
            /** @description The state. */
            status: string;
        } | {
            /**
             * Format: int64
             * @description Whole days that are left, rounded down; below 0 when it has ended.
             */
            days: number;
            /** @enum {string} */
            kind: "certificate";
            /**
             * Format: int64
             * @description How urgent it is: it ends within so many days, 30, 14 or 3. Each of them is a warning of its own.
             */
            within: number;
        } | {
            /** @enum {string} */
            kind: "clock";
            /**
             * Format: int64
             * @description By how much at least.
             */
            seconds: number;
        };
        /** @description A warning of a cluster and since when it stands. */
        WarningView: components["schemas"]["Warning"] & {
            cluster: string;
            /** Format: date-time */
            since: string;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
