//! Kubernetes: one Indexed Job for each stage, as a manifest to be applied when the one before is complete.
//!
//! Kubernetes knows no order of jobs. A worker refuses to begin a stage before the earlier ones are complete,
//! so a manifest that is applied too early fails and harms nothing. Not tried on a cluster: the manifests are
//! checked against the published schemas.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Chain, Deal, StageTasks};
use crate::error::{Error, Result};

/// The table `[kubernetes]` of a plan. Changes nothing of what is computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KubernetesSettings {
    /// Pods that run at once; 20.
    pub slots: u64,
    /// Shards for each of them; 12.
    pub shards_per_slot: u64,
    /// Container image with the program. Needed.
    pub image: String,
    /// The program in the image; `exavox`.
    pub program: String,
    /// Volume claim that job, inputs and outputs lie on, and that many nodes may write to. Needed.
    pub claim: String,
    /// Folder where the claim is mounted: the same as on this machine, because the job's paths hold it. Needed.
    pub mount: String,
    /// Namespace of the jobs.
    pub namespace: Option<String>,
    /// CPUs of a pod; the worker takes as many threads.
    pub cpus: u32,
    /// Memory of a pod: `16Gi`; the worker stays below it.
    pub memory: Option<String>,
    /// GPUs of a pod (`nvidia.com/gpu`).
    pub gpus: u32,
    /// Times that a shard is tried again; 5.
    pub retries: u32,
}

impl Default for KubernetesSettings {
    fn default() -> Self {
        let Deal { slots, shards_per_slot } = Deal::default();
        Self {
            slots,
            shards_per_slot,
            image: String::new(),
            program: "exavox".to_owned(),
            claim: String::new(),
            mount: String::new(),
            namespace: None,
            cpus: 1,
            memory: None,
            gpus: 0,
            retries: 5,
        }
    }
}

impl KubernetesSettings {
    /// How stages are cut.
    pub fn deal(&self) -> Deal {
        Deal { slots: self.slots, shards_per_slot: self.shards_per_slot }
    }

    /// Refuses settings that lack what a manifest needs, or with which a pod would not see the job.
    ///
    /// # Errors
    /// [`Error::Settings`] names what is missing.
    pub fn check(&self, job: &Path) -> Result<()> {
        let needed = [("image", &self.image), ("claim", &self.claim), ("mount", &self.mount)];
        if let Some((name, _)) = needed.iter().find(|(_, value)| value.is_empty()) {
            return Err(Error::settings("[kubernetes]", format!("{name} is needed")));
        }
        if !job.starts_with(&self.mount) {
            let message = format!("the job, {}, is not below it", job.display());
            return Err(Error::settings(format!("[kubernetes] mount {}", self.mount), message));
        }
        Ok(())
    }
}

/// The manifests of a chain by file name, in the order in which they are to be applied. They are JSON, which
/// is YAML too. `number` tells submissions of a job apart: jobs of Kubernetes cannot be changed.
pub fn manifests(
    chain: &Chain,
    job: &Path,
    number: u32,
    settings: &KubernetesSettings,
) -> Vec<Manifest> {
    let manifest = |(n, stage): (usize, &StageTasks)| {
        let name = job_name(&format!("{}-{number}-{}", chain.tag, stage.name));
        let document = document(&name, stage, job, settings);
        Manifest { file: format!("{}-{}.json", n + 1, stage.name), job: name, document }
    };
    chain.stages.iter().enumerate().map(manifest).collect()
}

/// A manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Name of its file.
    pub file: String,
    /// Name of its job.
    pub job: String,
    /// The manifest.
    pub document: Value,
}

/// A name as Kubernetes takes it: small letters, digits and hyphens, and room for the index of a pod.
fn job_name(name: &str) -> String {
    let small = name.to_ascii_lowercase();
    let harmless = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = small.chars().map(harmless).take(52).collect();
    name.trim_matches('-').to_owned()
}

fn document(name: &str, stage: &StageTasks, job: &Path, settings: &KubernetesSettings) -> Value {
    let mut metadata = json!({ "name": name });
    if let Some(namespace) = &settings.namespace {
        metadata["namespace"] = namespace.as_str().into();
    }
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "completionMode": "Indexed",
            "completions": stage.shards,
            "parallelism": stage.shards.min(settings.slots.max(1)),
            "backoffLimitPerIndex": settings.retries,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": { "rules": failure_rules() },
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 60,
                    "containers": [container(stage, job, settings)],
                    "volumes": [{
                        "name": "data",
                        "persistentVolumeClaim": { "claimName": settings.claim },
                    }],
                },
            },
        },
    })
}

/// 64 and 65 are not tried again, 75 is, up to the limit; a pod that had to leave its node does not count.
fn failure_rules() -> Value {
    let on_exit = |action: &str, codes: &[i32]| {
        let codes = json!({ "containerName": "worker", "operator": "In", "values": codes });
        json!({ "action": action, "onExitCodes": codes })
    };
    json!([
        on_exit("FailIndex", &[64, 65]),
        { "action": "Ignore", "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }] },
        on_exit("Count", &[75]),
    ])
}

fn container(stage: &StageTasks, job: &Path, settings: &KubernetesSettings) -> Value {
    let mut limits = json!({});
    if let Some(memory) = &settings.memory {
        limits["memory"] = memory.as_str().into();
    }
    if settings.gpus > 0 {
        limits["nvidia.com/gpu"] = settings.gpus.to_string().into();
    }
    let mut requests = limits.clone();
    requests["cpu"] = settings.cpus.to_string().into();
    json!({
        "name": "worker",
        "image": settings.image,
        "command": [
            settings.program, "worker", "--job", job.display().to_string(), "--stage", stage.name,
            "--shards", stage.shards.to_string(), "--quiet", "--no-progress",
        ],
        "env": environment(settings),
        "resources": { "requests": requests, "limits": limits },
        "volumeMounts": [{ "name": "data", "mountPath": settings.mount }],
    })
}

fn environment(settings: &KubernetesSettings) -> Value {
    let mut variables =
        vec![json!({ "name": "EXAVOX_THREADS", "value": settings.cpus.to_string() })];
    // Units of Kubernetes: Mi is 2^20 bytes, which this program calls MiB.
    if let Some(memory) = &settings.memory {
        let bytes = if memory.ends_with('i') { format!("{memory}B") } else { memory.clone() };
        variables.push(json!({ "name": "EXAVOX_MEMORY", "value": bytes }));
    }
    variables.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn settings() -> KubernetesSettings {
        let text = "slots = 4\nimage = 'lab/exavox:1'\nclaim = 'em'\nmount = '/data'\ncpus = 8\n\
                    memory = '16Gi'\ngpus = 1\n";
        toml::from_str(text).unwrap()
    }

    fn made(settings: &KubernetesSettings) -> Vec<Manifest> {
        let stage = |name: &str, shards| {
            let left = vec![std::ops::Range { start: 0, end: shards }];
            StageTasks { name: name.to_owned(), shards, left }
        };
        let stages = vec![stage("1.Scale_1", 48), stage("1.finish", 1)];
        let chain = Chain { tag: "exavox-12345678".to_owned(), stages };
        manifests(&chain, Path::new("/data/a.job"), 2, settings)
    }

    /// A schema checker takes any text where Kubernetes knows a few words only.
    #[test]
    fn words_that_kubernetes_knows_are_spelt_as_it_does() {
        let made = made(&settings());
        let document = &made[0].document;
        let at = |pointer: &str| document.pointer(pointer).unwrap().clone();
        assert_eq!((at("/apiVersion"), at("/kind")), ("batch/v1".into(), "Job".into()));
        assert_eq!(at("/spec/completionMode"), "Indexed");
        assert_eq!(at("/spec/podReplacementPolicy"), "Failed");
        assert_eq!(at("/spec/template/spec/restartPolicy"), "Never");
        let rule = |n: usize, path: &str| at(&format!("/spec/podFailurePolicy/rules/{n}/{path}"));
        assert_eq!(
            [rule(0, "action"), rule(1, "action"), rule(2, "action")],
            ["FailIndex", "Ignore", "Count"]
        );
        assert_eq!(
            (rule(0, "onExitCodes/operator"), rule(0, "onExitCodes/values")),
            ("In".into(), json!([64, 65]))
        );
        assert_eq!(rule(1, "onPodConditions/0/type"), "DisruptionTarget");
        assert_eq!(
            rule(0, "onExitCodes/containerName"),
            at("/spec/template/spec/containers/0/name")
        );
    }

    #[test]
    fn a_stage_is_a_job_of_as_many_pods_as_it_has_shards() {
        let made = made(&settings());
        let files: Vec<&str> = made.iter().map(|m| m.file.as_str()).collect();
        assert_eq!(files, ["1-1.Scale_1.json", "2-1.finish.json"]);
        assert_eq!(made[0].job, "exavox-12345678-2-1-scale-1");
        assert_eq!(made[0].document["metadata"]["name"], made[0].job.as_str());
        let spec = &made[0].document["spec"];
        assert_eq!((&spec["completions"], &spec["parallelism"]), (&json!(48), &json!(4)));
        assert_eq!(made[1].document["spec"]["parallelism"], 1);
        let container = &spec["template"]["spec"]["containers"][0];
        let command: Vec<&str> =
            container["command"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
        let expected =
            "exavox worker --job /data/a.job --stage 1.Scale_1 --shards 48 --quiet --no-progress";
        assert_eq!(command.join(" "), expected);
        assert_eq!(container["env"][1]["value"], "16GiB");
        let resources = &container["resources"];
        assert_eq!(resources["limits"], json!({ "memory": "16Gi", "nvidia.com/gpu": "1" }));
        assert_eq!(resources["requests"]["cpu"], "8");
    }

    #[test]
    fn a_pod_must_see_the_job() {
        settings().check(Path::new("/data/a.job")).unwrap();
        let error = settings().check(Path::new("/home/a.job")).unwrap_err().to_string();
        assert!(error.contains("/home/a.job, is not below it"), "{error}");
        let without = KubernetesSettings { claim: String::new(), ..settings() };
        let error = without.check(Path::new("/data/a.job")).unwrap_err().to_string();
        assert_eq!(error, "[kubernetes]: claim is needed");
    }
}
