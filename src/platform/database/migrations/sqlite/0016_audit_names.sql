ALTER TABLE `audit` ADD `actor_kind` text;--> statement-breakpoint
ALTER TABLE `audit` ADD `subject_name` text;