use super::*;

fn stage(name: &str, shards: u64) -> StageTasks {
    StageTasks {
        name: name.to_owned(),
        shards,
        left: vec![std::ops::Range { start: 0, end: shards }],
    }
}

fn places() -> SlurmPlaces {
    SlurmPlaces {
        program: "/opt/exavox".into(),
        job: "/data/my job".into(),
        submission: "/data/my job/submitted/1".into(),
    }
}

fn chain(stages: Vec<StageTasks>) -> Chain {
    Chain { tag: "exavox-12345678".to_owned(), stages }
}

fn settings(text: &str) -> SlurmSettings {
    toml::from_str(text).unwrap()
}

#[test]
fn each_stage_is_followed_by_a_gate_and_the_next_waits_for_it() {
    let chain = chain(vec![stage("1.filter", 96), stage("1.finish", 1)]);
    let made = SlurmChain::new(&chain, &places(), &SlurmSettings::default(), 1001);
    let labels: Vec<&str> = made.jobs.iter().map(|job| job.label.as_str()).collect();
    assert_eq!(labels, ["1.filter", "1.filter gate", "1.finish", "1.finish gate"]);
    let arguments: Vec<Vec<String>> =
        made.jobs.iter().map(|job| job.arguments(&["10", "11", "12", "13"])).collect();
    let has = |job: usize, option: &str| arguments[job].iter().any(|a| a == option);
    assert!(has(0, "--array=0-95%20") && !arguments[0].iter().any(|a| a.contains("dependency")));
    assert!(has(1, "--dependency=afterany:10") && !has(1, "--kill-on-invalid-dep=yes"));
    assert!(has(2, "--dependency=afterok:11") && has(2, "--kill-on-invalid-dep=yes"));
    assert!(!arguments[2].iter().any(|a| a.starts_with("--array")), "one task is no array");
    assert!(has(3, "--dependency=afterany:12"));
    assert!((0..4).all(|job| has(job, "--requeue") && has(job, "--chdir=/data/my job")));
    assert!(has(0, "--signal=B:USR1@120") && !has(1, "--signal=B:USR1@120"));
    assert_eq!(arguments[0].last().unwrap(), "0");
    assert_eq!(arguments[0][arguments[0].len() - 2], "/data/my job/submitted/1/1.filter.sh");
}

#[test]
fn more_shards_than_an_array_takes_make_several_and_the_gate_waits_for_all() {
    let chain = chain(vec![stage("1.infer", 2500), stage("1.union", 2)]);
    let made = SlurmChain::new(&chain, &places(), &SlurmSettings::default(), 1001);
    let arrays: Vec<(&String, &String)> =
        made.jobs[..3].iter().map(|job| (&job.options[0], &job.command[1])).collect();
    let expected =
        [("--array=0-1000%20", "0"), ("--array=0-1000%20", "1001"), ("--array=0-497%20", "2002")];
    assert_eq!(arrays.len(), 3);
    for ((array, offset), expected) in arrays.into_iter().zip(expected) {
        assert_eq!((array.as_str(), offset.as_str()), expected);
    }
    assert_eq!(made.jobs[3].after, After::Ended(vec![0, 1, 2]));
    assert_eq!(made.jobs[4].after, After::Success(3));
}

#[test]
fn what_is_left_keeps_its_numbers() {
    let left = vec![5..6, 9..11];
    let chain = chain(vec![StageTasks { left, ..stage("1.infer", 20) }]);
    let made = SlurmChain::new(&chain, &places(), &SlurmSettings::default(), 1001);
    assert_eq!(made.jobs[0].options[0], "--array=5,9-10%20");
}

#[test]
fn scripts_are_shell_and_hold_no_gap() {
    let chain = chain(vec![stage("1.infer", 20), stage("1.finish", 1)]);
    let made = SlurmChain::new(&chain, &places(), &SlurmSettings::default(), 1001);
    for (name, text) in &made.scripts {
        assert!(!text.contains('@') || text.contains("$@"), "{name}: {text}");
        let checked = std::process::Command::new("bash").args(["-n", "-c", text]).output().unwrap();
        assert!(checked.status.success() && checked.stderr.is_empty(), "{name}: {checked:?}");
    }
    let text = |n: usize| made.scripts[n].1.as_str();
    let worker =
        "/opt/exavox worker --job '/data/my job' --stage 1.infer --shards 20 --offset \"$1\"";
    assert!(text(0).contains(worker), "{}", text(0));
    assert!(text(0).contains("requeue \"${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID\""));
    assert!(text(1).contains("/opt/exavox status '/data/my job' --stage 1.infer"));
    assert!(text(2).contains("--shards 1 --shard 0") && text(2).contains("\"$SLURM_JOB_ID\""));
}

#[test]
fn resources_of_a_stage_go_before_those_of_all() {
    let settings = settings(
        "slots = 6\n[task]\npartition = 'cpu'\ntime = '1:00:00'\noptions = ['--qos=low']\n\
         [stage.infer]\npartition = 'gpu'\ngres = 'gpu:1'\ncpus_per_task = 8\nmemory = '32G'\n",
    );
    let names = ["1.infer".to_owned(), "1.union".to_owned()];
    settings.check(&names).unwrap();
    let infer = "--partition=gpu --time=1:00:00 --cpus-per-task=8 --mem=32G --gres=gpu:1 --qos=low";
    assert_eq!(settings.resources("1.infer").arguments().join(" "), infer);
    let union = "--partition=cpu --time=1:00:00 --qos=low";
    assert_eq!(settings.resources("1.union").arguments().join(" "), union);
    assert_eq!(settings.gate_resources().arguments().join(" "), "--partition=cpu --qos=low");
    let error = settings.check(&names[1..]).unwrap_err().to_string();
    assert!(error.contains("[slurm.stage.infer]") && error.contains("1.union"), "{error}");
    assert!(toml::from_str::<SlurmSettings>("slot = 3").is_err());
}

#[test]
fn the_chain_can_be_read_as_a_script() {
    let made =
        SlurmChain::new(&chain(vec![stage("1.a", 3)]), &places(), &SlurmSettings::default(), 1001);
    let text = made.to_shell();
    assert!(text.starts_with("job1=$(sbatch --parsable --array=0-2%20 "), "{text}");
    assert!(text.contains("job2=$(sbatch --parsable \"--dependency=afterany:$job1\" "), "{text}");
}
