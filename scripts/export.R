# Uploads a fitted model to Quintet, so that callers send "Adelie" and not 1.
#
#   source("export.R")
#   export(booster, "churn", users, title = "Who leaves", share = "read")
#
# Takes boosters of LightGBM and XGBoost. Needs httr2 and jsonlite beside them, and R 4.2.

#' Uploads a fitted model, with the levels of its factors and rows that the server replays.
#'
#' @param model an `lgb.Booster` or `xgb.Booster`.
#' @param data a data frame that the model was trained on, or rows of it; or such a matrix, whose columns are numbers.
#' @param ... what else a manifest says: title, description, classes, metrics, training_data, cache.
#' @param to_matrix makes of a data frame what `predict()` takes: `data.matrix` unless said, and nothing for a model of
#'   XGBoost that was fit on a data frame. It is asked for each level, and so tells the codes.
#' @param rows how many of them, spread evenly, go along as examples; they are replayed and not kept.
#' @param to a folder: the files are written there, to be sent by curl, and nothing is uploaded.
#' @param share what the team may do to a new model: "none", "read" or "write".
#' @param url,token of the server, and a token or an API key; QUINTET_URL, or this machine, and QUINTET_TOKEN.
#' @return the number of the version, or the folder.
export <- function(model, name, data, ..., to_matrix = NULL, rows = 200, to = NULL, share = NULL,
                   url = Sys.getenv("QUINTET_URL", "http://localhost:8080"), token = Sys.getenv("QUINTET_TOKEN")) {
  if (is.data.frame(data)) data <- as.data.frame(data)
  sample <- data[unique(round(seq(1, nrow(data), length.out = min(rows, nrow(data))))), , drop = FALSE]
  if (is.data.frame(data)) {
    if (is.null(to_matrix)) to_matrix <- if (takes_factors(model)) identity else data.matrix
    inputs <- lapply(names(data), input_of, data, to_matrix)
    taken <- to_matrix(sample)
  } else {
    taken <- sample
    if (is.null(colnames(sample))) colnames(sample) <- paste0("f", seq_len(ncol(sample)) - 1)
    inputs <- lapply(colnames(sample), \(column) list(name = column, type = "number"))
    sample <- as.data.frame(as.matrix(sample), optional = TRUE)
  }
  fitted <- if (inherits(model, "lgb.Booster")) of_lightgbm(model, taken) else of_xgboost(model, taken)
  manifest <- c(list(...), list(name = name, inputs = inputs, classes = fitted$classes))
  manifest <- Filter(Negate(is.null), manifest[!duplicated(names(manifest))])
  examples <- list(features = lapply(sample, json_values), predictions = json_values(fitted$predictions))

  folder <- file.path(if (is.null(to)) tempfile() else to, name)
  dir.create(folder, recursive = TRUE, showWarnings = FALSE)
  paths <- file.path(folder, c(fitted$file, "manifest.json", "examples.json"))
  names(paths) <- c("model", "manifest", "examples")
  fitted$save(paths[["model"]])
  write_json(manifest, paths[["manifest"]])
  write_json(examples, paths[["examples"]])
  if (is.null(to)) {
    on.exit(unlink(dirname(folder), recursive = TRUE))
    return(upload(paths, share, url, token))
  }
  forms <- paste0("-F ", names(paths), "=@", paths, collapse = " ")
  message('curl "$QUINTET_URL/api/v1/models" -H "Authorization: Bearer $QUINTET_TOKEN" ', forms)
  invisible(folder)
}

# What each library knows of a model -----------------------------------------------------------------
# Where training stopped early, predict(), the file and the server all stop at the best iteration.

of_lightgbm <- function(booster, taken) {
  list(
    file = "model.txt",
    save = \(path) lightgbm::lgb.save(booster, path),
    predictions = stats::predict(booster, taken),
    classes = booster$data_processor$factor_levels
  )
}

of_xgboost <- function(booster, taken) {
  by_row <- function(values) {
    # Before 3.0 all that is said is one vector.
    is_vector <- is.null(dim(values)) && length(values) > nrow(taken)
    if (is_vector) matrix(values, nrow = nrow(taken), byrow = TRUE) else values
  }
  predictions <- by_row(stats::predict(booster, taken))
  config <- xgboost::xgb.config(booster)
  # Before 3.0 it is text.
  if (is.character(config)) config <- jsonlite::fromJSON(config)
  if (config$learner$objective$name == "multi:softmax") {
    # It answers labels alone, where the server says how probable each is.
    odds <- exp(by_row(stats::predict(booster, taken, outputmargin = TRUE)))
    predictions <- odds / rowSums(odds)
  }
  list(
    file = "model.ubj",
    save = \(path) xgboost::xgb.save(booster, path),
    predictions = predictions,
    classes = attributes(booster)$metadata$y_levels
  )
}

takes_factors <- function(model) {
  kinds <- \() xgboost::getinfo(model, "feature_type")
  inherits(model, "xgb.Booster") && "c" %in% tryCatch(kinds(), error = \(.) NULL)
}

# Columns and their values ---------------------------------------------------------------------------

input_of <- function(name, data, to_matrix) {
  column <- data[[name]]
  refuse <- \(...) stop('The column "', name, '" ', ..., call. = FALSE)
  if (is.numeric(column) || is.logical(column)) return(list(name = name, type = "number"))
  if (is.character(column) && identical(to_matrix, data.matrix)) {
    refuse("is text, whose codes depend on the rows: make it a factor with the levels of training.")
  }
  if (!is.factor(column) && !is.character(column)) refuse("is neither numbers nor a factor, but ", class(column)[1], ".")

  levels <- if (is.factor(column)) levels(column) else sort(unique(column))
  asked <- data[rep(1, length(levels) + 1), , drop = FALSE]
  asked[[name]] <- c(levels, NA)
  if (is.factor(column)) asked[[name]] <- factor(asked[[name]], levels, ordered = is.ordered(column))
  told <- to_matrix(asked)
  if (!name %in% colnames(told)) refuse("is none of what to_matrix makes: give that as data, a column each.")
  # XGBoost counts the levels of a factor from 0.
  codes <- if (is.factor(told[, name])) as.integer(told[, name]) - 1L else as.double(told[, name])
  if (anyNA(codes[seq_along(levels)])) refuse("has levels that to_matrix makes no number of.")
  of_missing <- codes[length(codes)]
  if (anyNA(column) && !is.na(of_missing) && of_missing >= 0) {
    refuse("has missing values that to_matrix makes ", of_missing, " of: here they stay missing, as data.matrix() leaves them.")
  }
  list(name = name, type = "category", categories = I(levels), codes = I(codes[seq_along(levels)]))
}

is_category <- \(column) is.factor(column) || is.character(column)

# jsonlite keeps 15 digits, of which not all doubles can be had back.
json_values <- function(values) {
  if (is_category(values)) return(I(as.character(values)))
  texts <- ifelse(is.na(values), "null", sprintf("%.17g", as.double(values)))
  texts <- ifelse(is.infinite(values), sprintf('"%s"', texts), texts)
  if (!is.null(dim(values))) texts <- apply(texts, 1, \(row) paste0("[", paste(row, collapse = ","), "]"))
  structure(paste0("[", paste(texts, collapse = ","), "]"), class = "json")
}

write_json <- function(document, path) {
  text <- jsonlite::toJSON(document, auto_unbox = TRUE, json_verbatim = TRUE, na = "null", digits = NA)
  writeLines(enc2utf8(text), path, useBytes = TRUE)
}

# Where it goes --------------------------------------------------------------------------------------

upload <- function(paths, share, url, token) {
  if (!nzchar(token)) stop("Nobody is signed in: give a token, or set QUINTET_TOKEN.", call. = FALSE)
  response <- httr2::request(url) |>
    httr2::req_url_path_append("api", "v1", "models") |>
    httr2::req_url_query(team = share) |>
    httr2::req_auth_bearer_token(token) |>
    httr2::req_body_multipart(
      model = curl::form_file(paths[["model"]]),
      manifest = curl::form_file(paths[["manifest"]]),
      examples = curl::form_file(paths[["examples"]])
    ) |>
    httr2::req_timeout(300) |>
    httr2::req_error(is_error = \(response) FALSE) |>
    httr2::req_perform()
  if (httr2::resp_status(response) >= 300) stop(reason_of(response), call. = FALSE)
  message(sub("/$", "", url), httr2::resp_header(response, "location"))
  httr2::resp_body_json(response)$version
}

reason_of <- function(response) {
  status <- httr2::resp_status(response)
  if (!grepl("json", httr2::resp_content_type(response))) return(paste0(status, ": ", httr2::resp_body_string(response)))
  problem <- httr2::resp_body_json(response, check_type = FALSE)
  lines <- vapply(problem$errors, \(each) paste0(each$pointer, ": ", each$detail), "")
  paste(c(sprintf("%s (%d)", problem$title, status), if (length(lines) > 0) lines else problem$detail), collapse = "\n")
}
