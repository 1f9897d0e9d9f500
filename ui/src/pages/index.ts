// The pages of everyday work are one file to load: as many small ones they would cost a round trip each.
export { ActiveTab } from "./clusters/active/ActiveTab";
export { ClustersPage } from "./clusters/ClustersPage";
export { TokensTab } from "./clusters/tokens/TokensTab";
export { ClusterPage } from "./cluster/ClusterPage";
export { OverviewTab } from "./cluster/OverviewTab";
export { MembersTab, StorageTab, WarningsTab } from "./cluster/tabs";
