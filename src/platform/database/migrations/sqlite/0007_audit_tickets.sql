CREATE TABLE `audit` (
	`id` text PRIMARY KEY NOT NULL,
	`type` text NOT NULL,
	`time` integer NOT NULL,
	`actor_id` text,
	`actor_name` text,
	`subject_id` text,
	`address` text,
	`outcome` text NOT NULL,
	`details` text NOT NULL
);
--> statement-breakpoint
CREATE INDEX `audit_type` ON `audit` (`type`,`id`);--> statement-breakpoint
CREATE INDEX `audit_actor_id` ON `audit` (`actor_id`,`id`);--> statement-breakpoint
CREATE INDEX `audit_subject_id` ON `audit` (`subject_id`,`id`);--> statement-breakpoint
CREATE INDEX `audit_time` ON `audit` (`time`);--> statement-breakpoint
CREATE TABLE `tickets` (
	`hash` text PRIMARY KEY NOT NULL,
	`purpose` text NOT NULL,
	`account_id` text,
	`data` text NOT NULL,
	`expires_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `tickets_account_id` ON `tickets` (`account_id`);--> statement-breakpoint
CREATE INDEX `tickets_expires_at` ON `tickets` (`expires_at`);--> statement-breakpoint
CREATE TRIGGER `audit_unchanged` BEFORE UPDATE ON `audit` BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END;
