// The pages are one file to load: as many small ones they would cost a round trip each. Forms and the library that draws
// charts are asked for when somebody wants them.
export { ActiveTab } from "./clusters/active/ActiveTab";
export { ClustersPage } from "./clusters/ClustersPage";
export { TokensTab } from "./clusters/tokens/TokensTab";
export { ClusterPage } from "./cluster/ClusterPage";
export { OverviewTab } from "./cluster/OverviewTab";
export { MembersTab, StorageTab, WarningsTab } from "./cluster/tabs";
export { AuditPage } from "./audit/AuditPage";
export { HistoryTab } from "./cluster/HistoryTab";
export { InstancesTab } from "./cluster/instances/InstancesTab";
export { OverviewPage } from "./overview/OverviewPage";
export { SettingsPage } from "./settings/SettingsPage";
