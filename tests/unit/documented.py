"""Every command that the documents show, and how it is run by a test: one line for each.

`RUNS`: test_documented_commands.py runs it, without an engine. `by(TEST)`: that test runs the same
verb with the same options. `not_here(WHY)`: nothing can run it here. All are parsed by the real
command line besides. `.venv/bin/python build.py` and `rocm-images` are written as `build.py`, and
comments are left out.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class How:
    """`tests`: each PATH::NAME below tests/; none where the list's own runs it, or `why_not`."""

    tests: tuple[str, ...] = ()
    why_not: str = ""


RUNS = How()


def by(*tests: str) -> How:
    return How(tests)


def served(name: str) -> How:
    return by(f"unit/serve_probe/test_serve_command.py::{name}")


def not_here(why: str) -> How:
    return How(why_not=why)


GPU = not_here("a GPU and a server: docs/serve.md says on what it ran")
CLUSTER = not_here("a cluster")
REHEARSED = by("pipeline/test_rehearsal.py::test_one_command_builds_and_tests_every_image")
VLLM = by("pipeline/test_vllm.py::test_one_command_ends_with_two_tested_images")
EVERY_SERVER = by("pipeline/test_made_up_server.py::test_it_is_rendered_built_and_doctored")
SOURCES = by(
    "pipeline/test_up_to_date.py::test_a_changed_source_is_built_and_a_change_taken_back_is_not"
)
ANEW = by(
    "unit/cli/test_asked_anew.py::test_what_is_asked_for_anew_is_built_though_it_is_there",
    *SOURCES.tests,
)
LACKING = by("pipeline/test_target_registry.py::test_what_the_registry_lacks_is_built")
SMOKE = by("pipeline/test_emulated.py::test_a_program_of_another_emulator_runs_the_probe")
PROBED = by("pipeline/test_emulated.py::test_any_image_with_a_hip_runtime_can_be_probed")
PUBLISHED = by("pipeline/test_publish.py::test_publishing_sends_each_layer_once_and_again_nothing")
ROLLED_BACK = by(
    "pipeline/test_publish.py::test_rolling_back_brings_the_first_versions_digests_back"
)
PULLED = by("pipeline/test_pull.py::test_what_verifies_is_pulled_and_named_by_its_digest")
MIRRORED = by(
    "pipeline/test_distribution.py::test_a_mirror_has_the_images_with_their_signatures_and_evidence"
)
BUNDLED = by(
    "pipeline/test_distribution.py::test_a_bundle_brings_everything_to_a_registry_that_had_nothing"
)
SIGNED_LIST = by(
    "pipeline/test_attacks_by_list.py::test_a_catalogue_file_is_taken_with_its_signature_alone"
)
SIZES = by("pipeline/test_fit.py::test_both_archs_of_a_base_share_every_layer_up_to_deps")
DIFF = by("pipeline/test_diff.py::test_the_commands_of_the_document_run")
LOCK = by("pipeline/test_lock.py::test_check_shows_what_moved_and_only_lock_takes_it")
DOCTOR = by(
    "pipeline/test_vllm.py"
    "::test_its_kernels_are_for_one_gpu_and_what_only_its_build_needed_is_not_there"
)
SELFTEST = by("pipeline/test_selftest.py::test_a_self_test_verifies_against_its_image_and_no_other")
DOCKER_RUN = by("pipeline/test_deploying.py::test_docker_takes_every_flag")
GUARDED = by(
    "emulation/test_capture_guard.py::test_the_whole_probe_passes_with_the_guard_and_fails_without"
)
EMULATED = by("emulation/test_probe.py::test_the_decode_is_right_on_any_number_of_emulated_gpus")
REPLAYED = by(
    "emulation/test_replay_fuzz.py::test_seeds_with_several_roots_replay_wrong_on_7_2_4_and_the_command_shows_it_again"
)
PRIVATE_ENGINE = by(
    "pipeline/test_private_engine.py::test_it_answers_after_start_and_not_after_stop"
)

COMMANDS: dict[str, How] = {
    "make rehearse": REHEARSED,
    "make test": not_here("it runs these tests"),
    "make environment": not_here("it makes what the tests run in"),
    "build.py plan": RUNS,
    "build.py explain sglang-mi300x-rocm7.2.0": RUNS,
    "build.py init FOLDER": RUNS,
    "build.py init my-images": RUNS,
    "cd my-images": not_here("no command of ours"),
    "build.py render --check": RUNS,
    "build.py schema": RUNS,
    "build.py lock": LOCK,
    "build.py lock --check": LOCK,
    "build.py lock --take": by(
        "unit/lock/test_what_is_newer.py::test_the_newest_base_is_taken_into_the_matrix_and_locked"
    ),
    "build.py lock --update 7.2.2": by(
        "unit/lock/test_what_is_newer.py::test_a_lock_alone_asks_for_no_list"
    ),
    # Build and test.
    "build.py --arch 942": SOURCES,
    "build.py --arch 942 --jobs 4": SOURCES,
    "build.py --arch 942 --base 7.2.2": ANEW,
    "build.py --arch 942 --base 7.2.2 --pull": ANEW,
    "build.py --arch 942 --no-cache": ANEW,
    "build.py --server vllm --arch 942": VLLM,
    "build.py --server vllm --arch 942 --base 7.2.0 --base 7.2.2 --rehearse": EVERY_SERVER,
    "build.py --server all": EVERY_SERVER,
    "build.py --server all --arch 942 --base 7.2.0 --base 7.2.2 --rehearse": EVERY_SERVER,
    "build.py --registry ADDRESS --key cosign.pub": LACKING,
    "build.py --arch 942 --context rocm/pytorch:rocm7.2.2_ubuntu22.04_py3.10_pytorch_release_2.9.1="
    "docker-image://mirror.example.org/rocm/pytorch:rocm7.2.2 --context sglang-src=$HOME/src/sglang"
    " --context aiter-src=https://git.example.org/aiter.git#acf8fdf9307431ece8ee275971c41cb3d1a7020b"
    "": SOURCES,
    "build.py smoke --arch 942": SMOKE,
    "build.py smoke --image REF": SMOKE,
    "build.py smoke --arch 942 --serve": by(
        "pipeline/test_selftest.py::test_without_a_gpu_the_serve_tier_says_so_and_claims_no_level"
    ),
    "build.py probe IMAGE": PROBED,
    "build.py probe IMAGE --arch MI350X --gpus 8 run --json": PROBED,
    "build.py evidence verify evidence.json": SELFTEST,
    "build.py evidence verify evidence.json --image IMAGE": SELFTEST,
    "build.py sizes --arch 942": SIZES,
    "build.py sizes --arch 942 --registry ADDRESS --key cosign.pub": by(
        *SIZES.tests,
        "pipeline/test_budget.py::test_an_image_over_the_budget_is_pushed_and_signed_and_nothing_names_it",
    ),
    "build.py sizes --arch 942 --rehearse": SIZES,
    "build.py diff OLD NEW": DIFF,
    "build.py diff sglang-rocm:v0.5.21-rocm720-mi30x-rehearsal"
    " sglang-rocm:v0.5.21-rocm722-mi30x-rehearsal": DIFF,
    "build.py sbom IMAGE": DIFF,
    "build.py sbom IMAGE --output sbom.cdx.json": DIFF,
    "build.py sbom OLD --output before.cdx.json": DIFF,
    "build.py sbom NEW --output after.cdx.json": DIFF,
    "build.py sbom HOST/NAME:TAG --key cosign.pub --as spdx-json": by(
        *MIRRORED.tests,
        "pipeline/test_sbom.py::test_it_is_valid_of_this_image_and_the_same_bytes_again",
    ),
    "build.py release-notes before.cdx.json after.cdx.json --title v0.2.0": DIFF,
    "build.py ci-matrix": RUNS,
    "build.py ci-matrix --changed-since v0.1.0": by(
        "pipeline/test_ci_matrix.py::test_only_what_an_input_of_changed_since_a_commit_gets_a_job"
    ),
    "build.py ci-matrix --missing-from registry.example.org/team --key cosign.pub": by(
        "pipeline/test_ci_matrix.py::test_a_registry_with_three_of_four_images_is_to_get_exactly_the_fourth"
    ),
    # Publish, and deploy what was published.
    "build.py publish --registry ADDRESS --sign-key cosign.key": PUBLISHED,
    "build.py publish --registry ADDRESS --sign-key cosign.key --server all": by(
        "unit/publishing/test_list_published.py::test_the_list_that_is_left_is_of_all_and_signed"
    ),
    "build.py publish --registry ADDRESS --sign-key cosign.key --json": by(
        "unit/publishing/test_publication_told.py"
        "::test_machines_get_one_object_of_every_repository_and_nothing_else"
    ),
    "build.py publish --registry ADDRESS --registry OTHER --sign-key cosign.key": by(
        "pipeline/test_several_registries.py"
        "::test_every_registry_is_published_to_or_left_alone_and_running_again_goes_on"
    ),
    "build.py publish --from site.tar --registry ADDRESS --key cosign.pub": BUNDLED,
    "build.py rollback --registry ADDRESS --sign-key cosign.key"
    " --to v0.5.21-rocm722-mi30x-4b916ad5c63d": ROLLED_BACK,
    "build.py mirror --registry FROM --to ADDRESS --key cosign.pub": MIRRORED,
    "build.py bundle --registry FROM --output site.tar --key cosign.pub": BUNDLED,
    "build.py pull HOST/NAME:TAG --key cosign.pub": PULLED,
    "build.py pull ghcr.io/you/sglang-rocm@sha256:... --issuer"
    " https://token.actions.githubusercontent.com --identity"
    r" '^https://github\.com/OWNER/rocm-serving-images/\.github/workflows/build\.yml"
    "@(refs/tags/)?COMMIT$ called from YOU/images@refs/heads/main'": not_here(
        "GitHub's issuer: a signature of theirs"
    ),
    "build.py prune --registry ADDRESS --key cosign.pub": ROLLED_BACK,  # after which it prunes
    "build.py prune --registry ADDRESS --sign-key cosign.key --keep-history 2"
    " --not-before 2026-11-01 --yes": ROLLED_BACK,  # after which it prunes
    "build.py catalogue --output FOLDER": by(
        "unit/catalogue/test_listed.py"
        "::test_the_file_of_this_folder_was_verified_when_it_was_written"
    ),
    "build.py catalogue --schema": RUNS,
    "build.py catalogue --from FILE --key cosign.pub": SIGNED_LIST,
    "build.py catalogue --registry ADDRESS --key cosign.pub": PUBLISHED,
    "build.py catalogue --registry ADDRESS --key cosign.pub --server all": by(
        *PUBLISHED.tests,
        "unit/publishing/test_list_published.py"
        "::test_lists_that_were_fetched_are_one_page_without_a_signature",
    ),
    "build.py pick --arch 942": RUNS,
    "build.py pick --arch 942 --server vllm": RUNS,
    "build.py pick --auto": by(
        "unit/deploying/test_gpus.py::test_auto_picks_the_image_of_the_machines_gpu"
    ),
    "build.py run-args TAG --explain": RUNS,
    "build.py deploy TAG --as kubernetes --model MODEL": RUNS,
    "build.py deploy TAG --as kubernetes --model MODEL --output server.yaml": RUNS,
    "build.py deploy TAG --as compose --model MODEL --output compose.yaml": RUNS,
    "build.py deploy TAG --as helm --model MODEL --output chart": RUNS,
    "build.py deploy TAG --as docker --model MODEL --gpus 4 -- --trust-remote-code": RUNS,
    "docker run --rm $(build.py run-args TAG) COMMAND": DOCKER_RUN,
    "kubectl create secret generic serving-images-key --namespace cosign-system"
    " --from-file=cosign.pub": CLUSTER,
    "kubectl apply --filename cluster-policy.yaml": CLUSTER,
    "kubectl label namespace NAMESPACE policy.sigstore.dev/include=true": CLUSTER,
    "jq -r .base64Signature catalogue.sig.json > signature": not_here("jq"),
    "cosign verify-blob --key cosign.pub --insecure-ignore-tlog=true --signature signature"
    " catalogue.json": by(
        "pipeline/test_cosign_versions.py::test_either_reads_the_others_signature_of_a_file"
    ),
    "cosign verify-attestation --key cosign.pub --insecure-ignore-tlog=true --type"
    " https://cyclonedx.org/bom IMAGE@DIGEST | jq -r .payload | base64 -d | jq .predicate"
    " > sbom.cdx.json": MIRRORED,
    # In an image.
    "docker run --rm IMAGE doctor": DOCTOR,
    "docker run --rm $(build.py run-args TAG) doctor": by(*DOCTOR.tests, *DOCKER_RUN.tests),
    "docker run --rm $(build.py run-args TAG) doctor --json": by(*DOCTOR.tests, *DOCKER_RUN.tests),
    "docker run --rm -e CAPTURE_GUARD=1 IMAGE doctor": GUARDED,
    "docker run ... -e CAPTURE_GUARD=1 IMAGE ...": GUARDED,
    "docker run ... -e CAPTURE_GUARD=1 IMAGE graph-probe run": GUARDED,
    "docker run --rm --device /dev/kfd --device /dev/dri --group-add video --shm-size 32g"
    " --ulimit memlock=-1 --security-opt no-new-privileges:true -e CAPTURE_GUARD=1 IMAGE"
    " graph-probe run": GUARDED,
    "docker run --rm --device /dev/kfd --device /dev/dri --group-add video --shm-size 32g"
    " --ulimit memlock=-1 --security-opt no-new-privileges:true IMAGE graph-probe run": DOCKER_RUN,
    "docker run --rm --device /dev/kfd --device /dev/dri --group-add video --shm-size 32g"
    " --ulimit memlock=-1 --security-opt no-new-privileges:true -e"
    " ROCM_IMAGES_IMAGE_ID=\"$(docker image inspect --format '{{.Id}}' IMAGE)\" IMAGE selftest"
    " --output - > evidence.json": SELFTEST,
    "grep libcapture_guard /proc/PID/maps": not_here("a server with the guard"),
    "image-doctor variable --source DIR": by(
        "pipeline/test_real_sglang.py::test_the_real_tree_is_installed_mended_and_obeys_its_variable"
    ),
    "docker logs NAME 2>&1 | docker run --rm -i IMAGE graph-probe judge -": RUNS,
    "kubectl logs --prefix POD | docker run --rm -i IMAGE graph-probe judge -": RUNS,
    "kubectl logs --prefix llm-0 | graph-probe judge -": RUNS,
    "graph-probe judge server.log": RUNS,
    "graph-probe judge --json *.log": RUNS,
    "graph-probe run": EMULATED,
    "graph-probe capture": EMULATED,
    "graph-probe replay": EMULATED,
    "graph-probe decode --watchdog": EMULATED,
    "graph-probe serve": served("test_both_servers_of_every_size_are_compared"),
    "graph-probe serve --tp 2": served("test_roots_are_counted_of_the_server_with_graphs_alone"),
    "graph-probe serve --roots": served("test_roots_are_counted_of_the_server_with_graphs_alone"),
    "graph-probe serve --race": served(
        "test_a_race_in_which_no_capture_was_held_open_proves_nothing"
    ),
    "graph-probe serve --provoke all": GPU,
    "graph-probe serve --fresh 5": by(
        "unit/serve_probe/test_fresh_servers.py::test_fresh_servers_that_all_agree_pass"
    ),
    "graph-probe serve --server vllm --tp 1": by(
        "unit/serve_probe/test_vllm_served.py::test_both_servers_of_a_size_are_compared"
    ),
    "graph-probe serve --server vllm --backend cuda --tp 1": GPU,
    "VLLM_USE_V2_MODEL_RUNNER=0 graph-probe serve --server vllm --backend cuda --tp 1": GPU,
    "graph-probe serve --server vllm --backend cuda --tp 1 --roots": GPU,
    "graph-probe serve --server vllm --backend cuda --tp 1 --race": GPU,
    "graph-probe serve --server vllm --backend cuda --tp 2 --roots": GPU,
    "graph-probe serve --server vllm --backend cuda --tp 4 --roots": GPU,
    "graph-probe serve --server vllm --backend cuda --tp 4 --race": GPU,
    "graph-probe serve --server vllm --backend cuda --provoke query-rank-1 missing-rank"
    " --tp 2": GPU,
    "graph-probe serve --server vllm --backend cuda --provoke query-rank-1 missing-rank"
    " --tp 4": GPU,
    "graph-probe serve --server sglang --backend cuda --provoke query-rank-1 missing-rank --tp 4"
    " -- --enforce-disable-flashinfer-allreduce-fusion": GPU,
    "graph-probe serve --server vllm --backend cuda --jobs 6 --provoke query query-100ms"
    " query-prefill query-relaxed synchronize abort-in-capture abort-decoding kill-in-capture"
    " kill-decoding out-of-memory out-of-memory-in-capture hang-in-capture": GPU,
    "graph-probe serve --server sglang --backend cuda --tp 1": GPU,
    # The rehearsal and the laboratory.
    "rehearsal/engine.py start": PRIVATE_ENGINE,
    'eval "$(rehearsal/engine.py env)"': PRIVATE_ENGINE,
    "docker-buildx bake --print 942": by(
        "pipeline/test_rehearsal.py::test_buildx_alone_understands_the_bake_file"
    ),
    "rehearsal/laboratory.py 7.2.4 tests/emulation/replay_fuzz/case roots --others 4 --processes 8"
    "": REPLAYED,
    "./run_fuzz.py --seeds 1 40 --avoid roots --avoid waits ...": REPLAYED,
    "./run_fuzz.py --forever 1 ...": not_here("it has no end"),
}
