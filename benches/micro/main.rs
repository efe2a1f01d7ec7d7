//! Writes the results of the last run of criterion's benchmarks as a table, `docs/benchmarks-micro.md`.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::Value;
use storeboot_benches::publish;

/// Writes the results of criterion's benchmarks as a page.
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder with criterion's results.
    #[arg(long, default_value = "target/criterion")]
    found: PathBuf,
    /// The page to write. Without it, prints the page.
    #[arg(long)]
    output: Option<PathBuf>,
    /// A sentence about this run, for the page.
    #[arg(long, default_value = "Nothing else ran.")]
    note: String,
}

/// A benchmark's name, its median time in nanoseconds, and its throughput.
struct Found {
    group: String,
    name: String,
    time: f64,
    amount: String,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut found = Vec::new();
    collect(&arguments.found, &mut found)?;
    ensure!(
        !found.is_empty(),
        "{} holds no results: run cargo bench first",
        arguments.found.display()
    );
    found.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
    let text = page(&found, &arguments.note)?;
    publish(&text, arguments.output.as_deref())
}

/// Collects the folders called `new`, which hold the last run of each benchmark.
fn collect(folder: &Path, found: &mut Vec<Found>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        if path.ends_with("new") {
            found.push(read(&path)?);
        } else {
            collect(&path, found)?;
        }
    }
    Ok(())
}

fn read(folder: &Path) -> Result<Found> {
    let json = |name: &str| -> Result<Value> {
        let path = folder.join(name);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no JSON", path.display()))
    };
    let benchmark = json("benchmark.json")?;
    let estimates = json("estimates.json")?;
    let time = estimates["median"]["point_estimate"]
        .as_f64()
        .with_context(|| format!("{}: no median", folder.display()))?;
    let throughput = &benchmark["throughput"];
    let each = |of: &str| throughput[of].as_f64().map(|amount| amount / time);
    let amount = match (each("Bytes"), each("Elements")) {
        (Some(bytes), _) => format!("{:.0} MB/s", bytes * 1e3),
        (_, Some(elements)) => format!("{:.0} thousand/s", elements * 1e6),
        _ => String::new(),
    };
    let text = |of: &str| benchmark[of].as_str().unwrap_or_default().to_owned();
    Ok(Found {
        group: text("group_id"),
        name: text("function_id"),
        time,
        amount,
    })
}

fn page(found: &[Found], note: &str) -> Result<String> {
    let mut text = String::from(
        "# The loops, measured\n\n\
         `make bench-micro` measures this with criterion and writes this page. The benchmarks are the loops in which a build spends its \
         time, apart from the compressors. Each loop runs alone, on one thread; only the cache's entries use the disk. The `benches` \
         folder of each crate holds its benchmarks. Each run prints how it compares with the run before. `ARGUMENTS=NAR` runs the \
         benchmarks whose name contains `NAR`.\n\n",
    );
    writeln!(text, "Machine: {}. {note}\n", machine()?)?;
    text += "| what | | time | |\n| --- | --- | --- | --- |\n";
    for row in found {
        writeln!(
            text,
            "| {} | {} | {} | {} |",
            row.group,
            row.name,
            time(row.time),
            row.amount
        )?;
    }
    writeln!(text, "\n{}", include_str!("notes.md").trim_end())?;
    Ok(text)
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        few if few < 1e3 => format!("{few:.0} ns"),
        few if few < 1e6 => format!("{:.1} µs", few / 1e3),
        few if few < 1e9 => format!("{:.1} ms", few / 1e6),
        many => format!("{:.2} s", many / 1e9),
    }
}

fn machine() -> Result<String> {
    let script = r#"echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, Linux $(uname -r)""#;
    let output = Command::new("bash").args(["-c", script]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
