"""Every row of the NodeODM contract has a test that names it."""

import ast
import re
from pathlib import Path

FOLDERS = (Path(__file__).parent, Path(__file__).parents[1] / "clients")

ROWS = {
    # What holds for every route.
    "g1": "errors of known routes are answers with status 200 and the key error",
    "g2": "cancel, remove and restart that cannot be done say success false, and why",
    "g3": "JSON has the media type of Express; unknown paths and methods are 404 in HTML",
    "g4": "a wrong token is refused in words that clients look for, and only the query counts",
    "g5": "a node without tokens takes every token",
    "g6": "logging in, the page and the description want no token",
    "g7": "every answer can be read by any origin, and preflights are granted",
    "g8": "cancel, remove and restart come as form or JSON, not as a form of parts",
    "g9": "JSON that is read has a weak ETag",
    "g10": "JSON that cannot be parsed is an error",
    "s1_1_statuses": "no client meets a status that it takes for something else",
    # Endpoints, and their error texts.
    "s1_2_info": "the node; with a parameter of its own a bare 401",
    "s1_2_options": "the list of options",
    "s1_2_task_new": "one request makes a task",
    "s1_2_task_new_wants_files_or_a_place": "neither file nor zipurl",
    "s1_2_task_new_refuses_too_many_images": "more images than the node takes",
    "s1_2_task_new_refuses_files_of_another_field": "a file under another name than images",
    "s1_2_set_uuid": "an id that is none",
    "s1_2_option_errors": "options that are wrong",
    "s1_2_init": "an upload begins",
    "s1_2_init_ignores": "other bodies than forms of parts are taken and ignored",
    "s1_2_upload": "files of an upload",
    "s1_2_upload_wants_a_task_that_was_begun": "files for an unknown upload",
    "s1_2_upload_wants_a_file": "no file: an error with noRetry",
    "s1_2_commit": "an upload becomes a task, once",
    "s1_2_commit_wants_files": "nothing was uploaded",
    "s1_2_list": "all tasks in the order of insertion",
    "s1_2_not_found": "a task that there is not",
    "s1_2_task_info": "a task",
    "s1_2_output": "the console",
    "s1_2_download": "bytes, Invalid asset or Asset not ready",
    "s1_2_changes_without_an_id": "uuid param missing",
    "s1_2_cancel": "a task ends",
    "s1_2_remove": "a task goes with all that is its own",
    "s1_2_restart": "a task begins anew, unless it is under way",
    "s1_2_restart_with_wrong_options": "an error without success",
    "s1_2_auth_info": "whether and where to log in",
    "s1_2_login_and_register": "not available where they are off",
    "s1_2_page": "something for people, and Swagger 2.0",
    # /info
    "s1_3_version": "three integers that no client takes for old",
    "s1_3_task_queue_count": "what waits and runs",
    "s1_3_memory": "whole bytes",
    "s1_3_cpu_count": "whole",
    "s1_3_max_images": "a whole number or null",
    "s1_3_max_parallel_tasks": "ClusterODM's slots",
    "s1_3_engine": "name and version fit columns of 32 characters",
    "s1_3_odm_version": "is gone",
    # /options, and what becomes of those that are sent.
    "s1_4_shape": "five keys and no other",
    "s1_4_list": "the 82 options of ODM 3.6",
    "s1_4_hidden": "what the node decides itself",
    "s1_4_domain": "a metavar without brackets, or the choices",
    "s1_4_oddities": "kept as they are",
    "s1_4_help": "with placeholders that clients fill",
    "s1_4_options_that_are_no_json": "an error",
    "s1_4_what_is_no_array": "counts as empty",
    "s1_4_unknown_names": "vanish",
    "s1_4_duplicate_names": "the first wins",
    "s1_4_order": "that of the table",
    "s1_4_bools": "six spellings, no other",
    "s1_4_numbers": "as JavaScript parses them",
    "s1_4_positive": "zero allowed",
    "s1_4_integers_and_floats": "finite, of either sign",
    "s1_4_ranges": "kept",
    "s1_4_json": "a text that parses",
    "s1_4_texts": "unchecked",
    "s1_4_enums": "exact members",
    "s1_4_domains_of_other_tables": "negative, percent, comparisons; what nobody knows is an error",
    "s1_4_all_failures": "in one error",
    "s1_4_max_concurrency": "capped, and set where absent",
    # /task/{uuid}/info
    "s1_5_uuid": "as given",
    "s1_5_name": "given, made up, or absent",
    "s1_5_date_created": "milliseconds, given or now",
    "s1_5_processing_time": "whole milliseconds, -1 before and after",
    "s1_5_status": "a code, and a message after a failure",
    "s1_5_options": "typed, completed, never null",
    "s1_5_images_count": "images only, -1 while unknown",
    "s1_5_progress": "0 to 100, never back",
    "s1_5_output": "only if asked for",
    "s1_5_lines": "sliced as JavaScript does; trimmed, colourless, of one run",
    "s1_5_codes": "10 to 50",
    "s1_5_commit": "leads to 20",
    "s1_5_init_ok": "leads on, perhaps to 10",
    "s1_5_init_error": "leads to 30; the task stays listed",
    "s1_5_exit_0": "leads to 40",
    "s1_5_exit_n": "leads to 30, in five texts",
    "s1_5_spawn_error": "leads to 30, and says so",
    "s1_5_archive_error": "leads to 30",
    "s1_5_cancel": "leads to 50 from everywhere",
    "s1_5_remove": "from everywhere, and the task is gone",
    "s1_5_restart": "from every end",
    "s1_5_server_restart": "work goes on",
    # Uploads in several requests.
    "s1_6_set_uuid": "RFC 4122, free, returned verbatim",
    "s1_6_init_twice": "the second counts",
    "s1_6_before_the_commit": "there is no task",
    "s1_6_name_collision": "both files stay, unless they are the same",
    "s1_6_reserved_names": "are files like others",
    "s1_6_content": "ground control, geolocation, groups, alignment and seeds reach the engine",
    "s1_6_max_images": "checked while uploading, and after unpacking",
    "s1_6_commit": "does not wait",
    "s1_6_stale_uploads": "go",
    "s1_6_zipurl": "fetched later, unpacked flat; dead ones fail the task",
    # Other fields.
    "s1_7_post_processing": "three options, unless skipped or set",
    "s1_7_outputs": "paths for the archive",
    "s1_7_default_content": "of the archive",
    "s1_7_zip_method": "stored",
    "s1_7_webhook": "info and images, until it answers 200; the node's own as well",
    "s1_7_cleanup": "finished tasks go by themselves",
    # Downloads.
    "s1_8_assets": "the archive, and more",
    "s1_8_headers": "size, type and name; HEAD",
    "s1_8_range": "given, refused or ignored",
    "s1_8_redirects": "none by default",
    "s1_8_not_done": "Asset not ready",
    # Settings.
    "s1_9_limits": "images and tasks at once",
    "s1_9_max_runtime": "cancels, and says so in the console",
} | {f"q{number}": "a quirk that some client depends on" for number in range(1, 26)}


def test_every_row_has_a_test_that_names_it() -> None:
    tests = _test_names()
    missing = [row for row in ROWS if not any(test == row or test.startswith(f"{row}_") for test in tests)]
    assert missing == []


def test_every_named_row_is_one_of_the_contract() -> None:
    named = {test for test in _test_names() if re.match(r"[gq]\d|s1_", test)}
    unknown = [test for test in named if not any(test.startswith(f"{row}_") for row in ROWS)]
    assert unknown == []


def _test_names() -> set[str]:
    return {
        node.name.removeprefix("test_")
        for folder in FOLDERS
        for path in folder.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }
