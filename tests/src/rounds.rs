/// Rounds of a test that throws dice: `usual` in every run, `all` that the contract names with `./dev test --all-rounds`.
#[must_use]
pub fn rounds(usual: usize, all: usize) -> usize {
    if std::env::var_os("TEST_ALL_ROUNDS").is_some() { all } else { usual }
}
