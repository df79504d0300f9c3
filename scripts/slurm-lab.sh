#!/usr/bin/env bash
# A small Slurm cluster on this machine, for tests: a controller and three nodes, each with its own network,
# host name and processes, so that a node can lose its power or its network. Needs root and Debian's packages
# slurmctld, slurmd, slurm-client, munge and iproute2. Everything lies in DIR; nothing in /etc, /run or /var is
# read or written, and nothing is left when it is stopped.
#
#   slurm-lab.sh check             whether this machine can do it; says why not
#   slurm-lab.sh start DIR         DIR is made, and must not be there
#   slurm-lab.sh on DIR COMMAND... run a command as on the controller: sbatch, squeue, a test
#   slurm-lab.sh power-off DIR N   all processes of node N (n1, n2, n3) are gone at once
#   slurm-lab.sh power-on DIR N
#   slurm-lab.sh unplug DIR N      the node's network is cut; its processes go on
#   slurm-lab.sh plug DIR N
#   slurm-lab.sh stop DIR
set -euo pipefail

nodes=(n1 n2 n3)
# Reserved for examples: no machine has such an address. It is seen in the lab's own networks only.
network=192.0.2

fail() { echo "slurm-lab: $*" >&2; exit 1; }

# Names of networks are those of the whole machine: each lab has its own.
network_of() { echo "exavox-$(printf %s "$dir" | cksum | cut -d' ' -f1)-$1"; }

# --- machines: the controller and the nodes

# add_machine NAME LAST_NUMBER_OF_ADDRESS: all are plugged into a bridge in the controller's network.
add_machine() {
    local hub here
    hub=$(network_of controller) here=$(network_of "$1")
    ip netns add "$here"
    ip -n "$here" link set lo up
    if [ "$1" = controller ]; then
        ip -n "$hub" link add bridge type bridge
        ip -n "$hub" addr add "$network.$2/24" dev bridge
        ip -n "$hub" link set bridge up
    else
        ip -n "$hub" link add "to-$1" type veth peer name cable netns "$here"
        ip -n "$hub" link set "to-$1" master bridge up
        ip -n "$here" addr add "$network.$2/24" dev cable
        ip -n "$here" link set cable up
    fi
}

# boot NAME SHELL_COMMAND: the command's shell is process 1 of the machine. When the unshare before it is killed,
# it dies, and with it all other processes of the machine.
boot() {
    setsid ip netns exec "$(network_of "$1")" \
        unshare --uts --mount --pid --mount-proc --fork --kill-child=KILL \
        bash -c "hostname $1; $2" >>"$dir/log/$1.boot" 2>&1 </dev/null &
    echo $! >"$dir/$1.pid"
}

power_off() {
    [ -f "$dir/$1.pid" ] || return 0
    kill -KILL "$(cat "$dir/$1.pid")" 2>/dev/null || true
    rm -f "$dir/$1.pid"
    for _ in {1..100}; do
        [ -n "$(ip netns pids "$(network_of "$1")" 2>/dev/null)" ] || return 0
        sleep 0.02
    done
    fail "$1 does not go off"
}

boot_controller() {
    boot controller "munged --foreground --key-file='$dir/munge.key' --socket='$dir/munge.socket' \
        --pid-file='$dir/munged.pid' --log-file='$dir/log/munged' --seed-file='$dir/munge.seed' &
        until [ -S '$dir/munge.socket' ]; do sleep 0.02; done
        slurmctld -D -i -f '$dir/slurm.conf' & wait"
}

boot_node() { boot "$1" "slurmd -D -N $1 -f '$dir/slurm.conf' & wait"; }

# --- Slurm's configuration

configuration() {
    cat <<END
ClusterName=lab
SlurmctldHost=controller($network.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# A task that is queued again waits as long as its old credential is good: usually 120 s, at least 5.
AuthInfo=socket=$dir/munge.socket,cred_expire=5
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/spool/%n/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld
SlurmdLogFile=$dir/log/%n
# No cgroups, accounts, mail or MPI.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MailProg=/bin/true
MpiDefault=none
SwitchType=switch/none
# A node counts as lost after some seconds: usually 300.
SlurmdTimeout=5
SlurmctldTimeout=30
MessageTimeout=4
TCPTimeout=2
KillWait=2
# Scheduled at once and often.
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobRequeue=1
# A node that was lost is used again when it is back.
ReturnToService=2
# Two tasks a node, whatever the machine has.
SlurmdParameters=config_overrides
END
    local number=10
    for node in "${nodes[@]}"; do
        number=$((number + 1))
        echo "NodeName=$node NodeAddr=$network.$number CPUs=2 RealMemory=2000"
    done
    echo "PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP"
}

write_files() {
    mkdir -p "$dir"/{log,state,spool}
    for node in "${nodes[@]}"; do mkdir "$dir/spool/$node"; done
    configuration >"$dir/slurm.conf"
    # Which plugin to take is else found out from mounts and systemd, which a lab does not have.
    echo "CgroupPlugin=cgroup/v1" >"$dir/cgroup.conf"
    (umask 077 && head -c 64 /dev/urandom >"$dir/munge.key")
}

# --- commands

check() {
    [ "$(id -u)" -eq 0 ] || fail "needs root"
    for program in munged slurmctld slurmd sbatch ip unshare; do
        command -v "$program" >/dev/null || fail "$program is not installed"
    done
    local try="exavox-lab-check-$$"
    ip netns add "$try" 2>/dev/null || fail "no network of its own can be made here"
    ip netns del "$try"
    unshare --uts --mount --pid --mount-proc --fork true 2>/dev/null ||
        fail "no processes of their own can be made here"
}

on_controller() { SLURM_CONF="$dir/slurm.conf" ip netns exec "$(network_of controller)" "$@"; }

idle_nodes() { on_controller sinfo --noheader --Node --states=idle --format=%N 2>/dev/null | wc -l; }

start() {
    [ ! -e "$dir" ] || fail "$dir is there already"
    check
    write_files
    add_machine controller 1
    local number=10
    for node in "${nodes[@]}"; do
        number=$((number + 1))
        add_machine "$node" "$number"
    done
    boot_controller
    for node in "${nodes[@]}"; do boot_node "$node"; done
    for _ in {1..300}; do
        [ "$(idle_nodes)" -ne ${#nodes[@]} ] || return 0
        sleep 0.1
    done
    tail -n 5 "$dir"/log/* >&2
    fail "the nodes do not come up"
}

stop() {
    [ -f "$dir/slurm.conf" ] || fail "$dir is no lab"
    for machine in "${nodes[@]}" controller; do
        power_off "$machine"
        ip netns del "$(network_of "$machine")" 2>/dev/null || true
    done
    rm -rf "$dir"
}

command=${1:-}
[ "$command" = check ] && { check; exit 0; }
[ $# -ge 2 ] || { sed -n '2,16p' "$0" >&2; exit 2; }
dir=$(realpath -m "$2")
case $command in
    start) start ;;
    stop) stop ;;
    on) shift 2 && on_controller "$@" ;;
    power-off) power_off "$3" ;;
    power-on) boot_node "$3" ;;
    unplug) ip -n "$(network_of controller)" link set "to-$3" down ;;
    plug) ip -n "$(network_of controller)" link set "to-$3" up ;;
    *) fail "$command: no such command" ;;
esac
